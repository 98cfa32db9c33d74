"""Published checkpoints become ours: the same weights, in a precision that can be trained."""

from pathlib import Path

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

from rewire.checkpoints.published import copy_checkpoint
from rewire.pretrained import load_transformer


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_single(tmp_path: Path, published: torch.dtype, expected: torch.dtype) -> None:
    """AdamW at 1e-5 on weights of 0.1 in float16 would round each step away."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer).to(published)
    model.save_pretrained(tmp_path / "hub")
    tokenizer.save_pretrained(tmp_path / "hub")
    copy_checkpoint(str(tmp_path / "hub"), tmp_path / "ours")
    ours = load_transformer(tmp_path / "ours")
    assert {value.dtype for value in ours.parameters()} == {expected}
    for name, value in model.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value.to(expected)), name
