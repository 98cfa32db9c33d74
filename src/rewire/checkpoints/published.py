"""Checkpoints that exist already: a Hub id or a local directory becomes one of ours."""

from __future__ import annotations

from pathlib import Path

import torch

from rewire.checkpoints.save import save_checkpoint
from rewire.paths import model_config
from rewire.pretrained import bottom_of, find_tokenizer, load_transformer, resolve_adapter


def copy_checkpoint(
    source: str, folder: str | Path, adapter: str | None = None, allow_pickle: bool = False
) -> None:
    """Save the model and its tokenizer, if it has one, at ``source`` (an adapter merged into it) to ``folder``, weights as safetensors.

    In float32, float64 if its config says so: half-precision weights can be run, but AdamW's steps on them are rounded away.
    """
    base, adapter_source = resolve_adapter(source, adapter)
    config = model_config(base, adapter_source)
    double = "float64" in (config.get("dtype"), config.get("torch_dtype"))
    dtype = torch.float64 if double else torch.float32
    model = load_transformer(base, adapter_source, dtype, allow_pickle)
    save_checkpoint(folder, model, find_tokenizer(bottom_of(base)))
