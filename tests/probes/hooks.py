"""Patching by hand: one forward of TransformerLens' bridge a patch, an activation overwritten in a hook. Slow and plain."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rewire.probes.patches import HEADS, NONE, SITES, Patches

HOOKS = {
    "residual_pre": "blocks.{}.hook_in",
    "residual_post": "blocks.{}.hook_out",
    "attention_out": "blocks.{}.attn.hook_out",
    "mlp_out": "blocks.{}.mlp.hook_out",
    "z": "blocks.{}.attn.o.hook_in",
    "q": "blocks.{}.attn.q.hook_out",
    "k": "blocks.{}.attn.k.hook_out",
    "v": "blocks.{}.attn.v.hook_out",
    "pattern": "blocks.{}.attn.hook_pattern",
    "neuron": "blocks.{}.mlp.out.hook_in",
}


def first_tensor(value: Any) -> Tensor:
    return value[0] if isinstance(value, tuple) else value


class Hooks:
    """Clean activations of a bridge and its corrupted run with one of them put in."""

    def __init__(self, bridge: Any, clean: Tensor, corrupted: Tensor, start: Tensor) -> None:
        self.bridge, self.corrupted, self.start = bridge, corrupted, start
        self.n_heads, self.d_head = bridge.cfg.n_heads, bridge.cfg.d_head
        self.kept: dict[str, Tensor] = {}

        def keep(value: Any, hook: Any) -> None:
            self.kept[hook.name] = first_tensor(value).clone()

        names = [name.format(layer) for name in HOOKS.values() for layer in range(bridge.cfg.n_layers)]
        self.clean_logits = bridge.run_with_hooks(clean, fwd_hooks=[(name, keep) for name in names])

    def logits(self, patches: Patches, row: int) -> Tensor:
        """[T, V]: the corrupted run of one patch's example."""
        site = SITES[int(patches.site[row])]
        example, layer, head, neuron, position = (
            int(getattr(patches, name)[row]) for name in ("example", "layer", "head", "neuron", "position")
        )
        at = slice(int(self.start[example]), None) if position == NONE else slice(position, position + 1)

        def patch(value: Any, hook: Any) -> Any:
            out, clean = first_tensor(value).clone(), self.kept[hook.name][example : example + 1]
            if site == "pattern":
                out[:, head, at] = clean[:, head, at]
            elif site in HEADS:
                shape, parted = out.shape, out.reshape(*out.shape[:2], self.n_heads, self.d_head).clone()
                parted[:, at, head] = clean.reshape(parted.shape)[:, at, head]
                out = parted.reshape(shape)
            elif site == "neuron":
                out[:, at, neuron] = clean[:, at, neuron]
            else:
                out[:, at] = clean[:, at]
            return (out, *value[1:]) if isinstance(value, tuple) else out

        tokens = self.corrupted[example : example + 1]
        with torch.no_grad():
            return self.bridge.run_with_hooks(tokens, fwd_hooks=[(HOOKS[site].format(layer), patch)])[0]
