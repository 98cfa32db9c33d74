"""LoRA on chosen attention heads alone, in a standard PEFT adapter.

An adapter adds B @ A to a weight [outputs, inputs]. Heads own rows of what writes q, k and v, and columns of what reads
their outputs: there only the chosen heads' rows of B, or columns of A, are live. The others are 0 and stay 0.
With grouped queries the key and value of a chosen head are those of its whole group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rewire.errors import InputError
from rewire.lora.budget import Sizes, ends_with
from rewire.lora.strategies import Head


@dataclass(frozen=True)
class Attention:
    """Sizes of an attention layer: query heads, heads that keys and values have, width of a head."""

    heads: int
    shared: int
    width: int


@dataclass(frozen=True)
class Live:
    """The part of a module's adapter that is trained: ``indices`` among ``size`` rows of B (or columns of A)."""

    matrix: str  # lora_A or lora_B
    size: int
    indices: tuple[int, ...]


Blocks = tuple[str, int, tuple[int, ...]]  # matrix, how many heads' blocks it has, those of one head
Layout = Callable[[int, Attention], Blocks]


def letter_after_letter(head: int, attention: Attention) -> Blocks:
    """q of all heads, then k, then v."""
    return "lora_B", 3 * attention.heads, tuple(head + letter * attention.heads for letter in range(3))


def head_after_head(head: int, attention: Attention) -> Blocks:
    """q, k, v of head 0, then of head 1."""
    return "lora_B", 3 * attention.heads, tuple(3 * head + letter for letter in range(3))


def query(head: int, attention: Attention) -> Blocks:
    return "lora_B", attention.heads, (head,)


def key_or_value(head: int, attention: Attention) -> Blocks:
    return "lora_B", attention.shared, (head // (attention.heads // attention.shared),)


def output(head: int, attention: Attention) -> Blocks:
    return "lora_A", attention.heads, (head,)


SEPARATE: dict[str, Layout] = {
    "self_attn.q_proj": query,
    "self_attn.k_proj": key_or_value,
    "self_attn.v_proj": key_or_value,
    "self_attn.o_proj": output,
}
LAYOUTS: dict[str, dict[str, Layout]] = {  # model_type -> ending of a module's name -> where a head is
    "gpt2": {"attn.c_attn": letter_after_letter, "attn.c_proj": output},
    "gpt_neox": {"attention.query_key_value": head_after_head, "attention.dense": output},
    "llama": SEPARATE,
    "mistral": SEPARATE,
    "qwen2": SEPARATE,
}


def live_parts(transformer: Any, sizes: Sizes, heads: Sequence[Head]) -> dict[str, Live]:
    """Module name -> its live part, for the attention modules of ``sizes`` in the layers of ``heads``.

    Errors: InputError for an architecture whose layout is not known, or no attention among the modules.
    """
    config = transformer.config
    if config.model_type not in LAYOUTS:
        raise InputError(f"lora heads: {config.model_type} is not one of {', '.join(LAYOUTS)}")
    layouts = LAYOUTS[config.model_type]
    n_heads = config.num_attention_heads
    attention = Attention(
        n_heads,
        getattr(config, "num_key_value_heads", None) or n_heads,
        getattr(config, "head_dim", None) or config.hidden_size // n_heads,
    )
    live = {}
    for name, (layer, _) in sizes.items():
        layout = next((found for ending, found in layouts.items() if ends_with(name, ending)), None)
        chosen = [head for at, head in heads if at == layer]
        if layout is not None and chosen:
            live[name] = live_part(layout, chosen, attention)
    if not live:
        raise InputError(f"lora.target_modules: heads need one of {', '.join(layouts)}")
    return live


def live_part(layout: Layout, heads: Sequence[int], attention: Attention) -> Live:
    """The rows or columns of one module that belong to ``heads``."""
    width, indices = attention.width, set()
    for head in heads:
        matrix, blocks, own = layout(head, attention)
        indices |= {block * width + offset for block in own for offset in range(width)}
    return Live(matrix, blocks * width, tuple(sorted(indices)))


def live_sizes(sizes: Sizes, live: Mapping[str, Live]) -> dict[str, tuple[int, int]]:
    """Module name -> (layer, live parameters at rank 1) of the modules of ``live``."""
    return {
        name: (sizes[name][0], sizes[name][1] - part.size + len(part.indices)) for name, part in live.items()
    }


def rank_caps(transformer: Any, sizes: Sizes, live: Mapping[str, Live]) -> dict[str, int]:
    """Module name -> the rank beyond which an adapter adds nothing: the smaller side of the (live) matrix."""
    caps = {}
    for name in sizes:
        sides = list(transformer.get_submodule(name).weight.shape)
        if name in live:
            sides = [sum(sides) - live[name].size, len(live[name].indices)]
        caps[name] = min(sides)
    return caps


def keep_others_zero(adapted: Any, live: Mapping[str, Live]) -> None:
    """Set what is not live in a PEFT model's adapter to 0, and its gradients in every backward pass.

    Weight decay leaves 0 at 0, and so does AdamW where every gradient was 0.
    """
    for name, part in live.items():
        module = adapted.base_model.model.get_submodule(name)
        for matrix in getattr(module, part.matrix).values():
            mask = torch.zeros(part.size)
            mask[list(part.indices)] = 1
            if part.matrix == "lora_B":  # [outputs, rank]
                mask = mask[:, None]
            with torch.no_grad():
                matrix.weight.mul_(mask)
            matrix.weight.register_hook(lambda gradient, mask=mask: gradient * mask.to(gradient))
