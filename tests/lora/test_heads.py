"""Adapters on chosen heads: in every layout the merged change is where those heads are, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rewire.errors import InputError
from rewire.lora.adapter_files import add_adapter, save_adapter
from rewire.lora.budget import adapter_sizes, parameters
from rewire.lora.heads import live_parts, live_sizes, rank_caps
from rewire.lora.plan import Plan

HEADS = [(0, 1), (1, 0), (1, 3)]  # of two layers with 4 heads of width 4
SETTINGS = {"alpha_per_rank": 2, "dropout": 0.0}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 30}
SEPARATE = [f"self_attn.{letter}_proj" for letter in "qkvo"] + ["mlp.up_proj"]
TARGETS = {
    "gpt2": ["attn.c_attn", "attn.c_proj", "mlp.c_fc"],
    "gpt_neox": ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h"],
    "llama": SEPARATE,
    "mistral": SEPARATE,
    "qwen2": SEPARATE,
}


def tiny(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    more = {"num_key_value_heads": 2} if TARGETS[kind] is SEPARATE else {}
    more |= {"rotary_pct": 1.0} if kind == "gpt_neox" else {}
    size = {} if kind == "gpt2" else {"intermediate_size": 24}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **more, **size)).eval()


def head_plan(model: Any, kind: str, heads: list[tuple[int, int]] = HEADS) -> Plan:
    everything = adapter_sizes(model, TARGETS[kind])
    live = live_parts(model, everything, heads)
    sizes = live_sizes(everything, live)
    ranks = dict.fromkeys(sizes, 3)
    return Plan([0, 1], ranks, parameters(sizes, ranks), 0, heads, live)


def trained(model: Any, plan: Plan, steps: int = 4) -> Any:
    """An adapter after a few steps of AdamW with weight decay."""
    torch.manual_seed(1)
    adapted = add_adapter(model, plan, SETTINGS)
    weights = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.05, weight_decay=0.1)
    tokens = torch.randint(30, (2, 8))
    for _ in range(steps):
        optimizer.zero_grad()
        adapted(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
    return adapted


def owned(kind: str, name: str, layer: int) -> tuple[str, list[int]]:
    """By hand: the axis (rows, columns) and the blocks of four that the chosen heads of a layer own."""
    heads = [head for at, head in HEADS if at == layer]
    if name.endswith(("c_proj", "dense", "o_proj")):
        return "columns", heads
    if kind == "gpt2":
        return "rows", [block for head in heads for block in (head, 4 + head, 8 + head)]
    if kind == "gpt_neox":
        return "rows", [3 * head + letter for head in heads for letter in range(3)]
    return "rows", [head if name.endswith("q_proj") else head // 2 for head in heads]  # two heads a group


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_only_the_chosen_heads_change(kind: str, tmp_path: Path) -> None:
    from peft import PeftModel

    plan = head_plan(tiny(kind), kind)
    assert not any("mlp" in name for name in plan.ranks)
    adapted = trained(tiny(kind), plan)
    save_adapter(tmp_path / "adapter", adapted)
    before = tiny(kind)
    merged = PeftModel.from_pretrained(tiny(kind), str(tmp_path / "adapter")).merge_and_unload()
    alive = 0
    for name, old in before.named_parameters():
        change = merged.get_parameter(name) - old
        module = name.removesuffix(".weight")
        if module not in plan.ranks:
            assert torch.equal(change, torch.zeros_like(change)), name
            continue
        delta = change.T if kind == "gpt2" else change  # [outputs, inputs]
        axis, blocks = owned(kind, module, int(module.split(".")[2]))
        blocked = (delta if axis == "rows" else delta.T).unflatten(0, (-1, 4)).abs().amax(dim=(1, 2))
        dead = [block for block in range(len(blocked)) if block not in blocks]
        assert (blocked[dead] == 0).all(), name
        assert (blocked[blocks] > 0).all(), name
    for value in adapted.parameters():
        if value.requires_grad:
            alive += int((value != 0).sum())
    assert alive == plan.parameters


def test_a_chosen_head_s_group_shares_its_key_and_value() -> None:
    model = tiny("llama")
    live = live_parts(model, adapter_sizes(model, TARGETS["llama"]), [(0, 2), (0, 3)])
    assert live["model.layers.0.self_attn.k_proj"].indices == (4, 5, 6, 7)
    assert live["model.layers.0.self_attn.q_proj"].indices == tuple(range(8, 16))
    assert all(".layers.0." in name for name in live)


def test_the_chosen_head_s_output_is_what_changes() -> None:
    """The layout is the model's own: other heads write what they wrote."""
    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXAttention

    model, tokens = tiny("gpt_neox"), torch.arange(1, 9)[None]
    seen: list[torch.Tensor] = []
    attention: GPTNeoXAttention = model.gpt_neox.layers[0].attention
    attention.dense.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        model(tokens)
        with torch.no_grad():
            trained(model, head_plan(model, "gpt_neox", [(0, 1)]), steps=0)
            attention.query_key_value.lora_B["default"].weight[12:24].normal_()
        model(tokens)
    moved = (seen[-1] - seen[0]).unflatten(-1, (4, 4)).abs().amax(dim=(0, 1, 3))
    assert moved[1] > 1e-3
    assert (moved[[0, 2, 3]] == 0).all()


def test_what_is_refused() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    model = tiny("gpt2")
    with pytest.raises(InputError, match=r"target_modules: heads need one of attn.c_attn, attn.c_proj"):
        live_parts(model, adapter_sizes(model, ["mlp.c_fc"]), HEADS)
    other = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("opt", **SIZES, ffn_dim=8, word_embed_proj_dim=16)
    )
    with pytest.raises(InputError, match="opt is not one of gpt2, gpt_neox, llama, mistral, qwen2"):
        live_parts(other, adapter_sizes(other, ["self_attn.q_proj"]), HEADS)


def test_ranks_are_capped_by_what_is_live() -> None:
    model = tiny("gpt2")  # width 16, heads of width 4
    everything = adapter_sizes(model, TARGETS["gpt2"])
    assert rank_caps(model, everything, {})["transformer.h.0.mlp.c_fc"] == 16
    live = live_parts(model, everything, HEADS)
    caps = rank_caps(model, live_sizes(everything, live), live)
    assert caps == {
        "transformer.h.0.attn.c_attn": 12,  # the rows of one head's q, k and v
        "transformer.h.0.attn.c_proj": 4,
        "transformer.h.1.attn.c_attn": 16,  # two heads have 24
        "transformer.h.1.attn.c_proj": 8,
    }
