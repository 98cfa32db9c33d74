"""Small random GPT-2s of which half of the heads matter, and the same with other wires or other heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits.attribution import attribute
from rewire.circuits.graph import Graph
from rewire.models import load
from rewire.pairs import TokenPairs

LAYERS, HEADS, WIDTH, STD = 3, 8, 8, 0.15


def base_model(seed: int, swapped: bool = False) -> Any:
    """Random weights; half of each layer's heads write next to nothing (the other half if ``swapped``)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    generator = torch.Generator().manual_seed(seed)
    sizes = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": HEADS * WIDTH, "n_positions": 16, "vocab_size": 60}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    for name, parameter in model.named_parameters():
        if ".ln_" not in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * STD
    for block, mattering in zip(model.transformer.h, mattering_heads(seed), strict=True):
        for head in range(HEADS):
            if (head in mattering) is swapped:
                block.attn.c_proj.weight.data[head * WIDTH : (head + 1) * WIDTH] *= 0.02
        block.mlp.c_proj.weight.data *= 0.3
    return model


def mattering_heads(seed: int) -> list[set[int]]:
    """The heads of each layer that write."""
    generator = torch.Generator().manual_seed(seed)
    return [set(torch.randperm(HEADS, generator=generator)[: HEADS // 2].tolist()) for _ in range(LAYERS)]


def rewired_model(seed: int) -> Any:
    """``base_model`` with new queries, keys and values for the heads that matter: they read elsewhere, write as before."""
    model = base_model(seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    for block, mattering in zip(model.transformer.h, mattering_heads(seed), strict=True):
        weight = block.attn.c_attn.weight.data.view(-1, 3, HEADS, WIDTH)
        for head in sorted(mattering):
            weight[:, :, head] = torch.randn(weight[:, :, head].shape, generator=generator) * STD
    return model


def example_scores(model: Any, folder: Path, n: int = 32) -> tuple[Tensor, Graph]:
    """float32 [n, edges]: scores of each of ``n`` examples in which three tokens of ten are corrupted."""
    model.save_pretrained(folder)
    clean = torch.randint(0, 4, (n, 10), generator=torch.Generator().manual_seed(3))
    clean[:, 2:5], clean[:, 8:] = torch.tensor([5, 9, 11]), torch.tensor([7, 8])
    corrupted = clean.clone()
    corrupted[:, 2:5] = torch.tensor([21, 23, 27])
    pairs = TokenPairs(clean, corrupted, torch.full((n,), 10), 2)
    scores = attribute(load(folder), pairs, examples=True)
    assert scores.examples is not None
    return scores.examples, scores.graph
