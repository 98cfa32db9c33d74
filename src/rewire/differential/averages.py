"""Means over an example's real tokens: padding never counts, and an example never meets another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mean_over_tokens(values: Tensor, real: Tensor) -> Tensor:
    """[B, ..., T] -> float64 [B, ...]: mean where ``real`` (bool, broadcast against ``values``); NaN where nothing is."""
    return values.masked_fill(~real, 0).sum(dim=-1, dtype=torch.float64) / real.sum(dim=-1)


def mean_vector(states: Tensor, real: Tensor) -> Tensor:
    """[B, T, D], bool [B, T] -> [B, 1, D]: the mean of the example's real tokens."""
    weights = real.to(states.dtype)[:, None]
    return weights @ states / weights.sum(dim=-1, keepdim=True)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """[..., S] x 2 -> [...]: by BLAS on a CPU, which makes no product as a tensor and reads rows as they lie."""
    if a.device.type == "cpu":
        return torch.from_numpy(np.asarray(np.vecdot(a.numpy(), b.numpy())))
    return (a * b).sum(dim=-1)


def norm(x: Tensor) -> Tensor:
    """[..., S] -> [...]."""
    return dot(x, x).sqrt_()
