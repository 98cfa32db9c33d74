"""How large activations are in two models. Definitions: docs/definitions.md, "Differential"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from torch import Tensor

from rewire.differential.averages import mean_over_tokens

MAGNITUDES = ("norm_base", "norm", "mean_absolute_base", "mean_absolute")
PIECE = 10_000  # values: the most for which OpenBLAS starts no threads of its own


def magnitudes(p: Tensor, q: Tensor, real: Tensor) -> dict[str, Tensor]:
    """[B, T, D] of P and of Q -> float64 [B] each, means over the real tokens (bool [B, T]; they come first).

    ``norm``: L2 norm / sqrt(D); ``mean_absolute``: mean over D of |x|; P's with ``_base`` behind the name.
    """
    by_token = torch.stack([torch.linalg.vector_norm(x, dim=-1) / x.shape[-1] ** 0.5 for x in (p, q)])
    norms = mean_over_tokens(by_token, real)  # [2, B]
    lengths = real.sum(dim=1)
    absolute = [absolute_sums(x, lengths.tolist()) / (lengths * x.shape[-1]) for x in (p, q)]
    return dict(zip(MAGNITUDES, (*norms, *absolute), strict=True))


def absolute_sums(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """[B, T, D] -> float64 [B]: sum of |x| over D and each example's first so many tokens.

    By BLAS on a CPU, which reads x once: |x| as a tensor costs twice as much.
    """
    real = [example[:length] for example, length in zip(x, lengths, strict=True)]
    if x.device.type != "cpu":
        return torch.stack([example.abs().sum(dtype=torch.float64) for example in real])
    asum = get_blas_funcs("asum", dtype=np.dtype(str(x.dtype).removeprefix("torch.")))
    pieces = [example.flatten().split(PIECE) for example in real]
    return torch.tensor([sum(asum(piece.numpy()) for piece in of) for of in pieces], dtype=torch.float64)
