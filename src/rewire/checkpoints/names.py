"""What checkpoints are called."""

from __future__ import annotations


def checkpoint_name(step: int) -> str:
    """``step-000100`` for step 100: names sort as steps do."""
    return f"step-{step:06d}"
