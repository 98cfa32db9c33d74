"""Checkpoints that exist already: a Hub id or a local directory becomes one of ours."""

from __future__ import annotations

from pathlib import Path

from rewire.checkpoints.save import save_checkpoint
from rewire.pretrained import bottom_of, find_tokenizer, load_transformer, resolve_adapter


def copy_checkpoint(
    source: str, folder: str | Path, adapter: str | None = None, allow_pickle: bool = False
) -> None:
    """Save the model and its tokenizer, if it has one, at ``source`` (an adapter merged into it) to ``folder``, weights as safetensors."""
    base, adapter_source = resolve_adapter(source, adapter)
    model = load_transformer(base, adapter_source, allow_pickle=allow_pickle)
    save_checkpoint(folder, model, find_tokenizer(bottom_of(base)))
