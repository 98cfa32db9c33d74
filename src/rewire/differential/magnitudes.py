"""How large activations are in two models. Definitions: docs/definitions.md, "Differential"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs
from torch import Tensor

from rewire.differential.averages import mean_over_tokens, norm

MAGNITUDES = ("norm_base", "norm", "mean_absolute_base", "mean_absolute")
SUM = 10_000  # values: the most for which OpenBLAS starts no threads of its own
PIECE = 8 * SUM  # values that stay in the cache


def magnitudes(p: Tensor, q: Tensor, real: Tensor) -> dict[str, Tensor]:
    """[B, T, D] of P and of Q -> float64 [B] each, means over the real tokens (bool [B, T]; they come first).

    ``norm``: L2 norm / sqrt(D); ``mean_absolute``: mean over D of |x|; P's with ``_base`` behind the name.
    """
    lengths, width = real.sum(dim=1), p.shape[-1]
    sums = torch.stack([token_sums(x, lengths.tolist(), real) for x in (p, q)], dim=1)  # [2, P and Q, B]
    norms, absolute = sums / lengths
    return dict(zip(MAGNITUDES, (*norms / width**0.5, *absolute / width), strict=True))


def token_sums(x: Tensor, lengths: Sequence[int], real: Tensor) -> Tensor:
    """[B, T, D] -> float64 [2, B]: sums over each example's first so many tokens of the L2 norm and of |x|."""
    if x.device.type == "cpu":
        array = x.numpy()
        sums = [array_sums(example[:length]) for example, length in zip(array, lengths, strict=True)]
        return torch.tensor(sums, dtype=torch.float64).T
    absolute = [
        example[:length].abs().sum(dtype=torch.float64) for example, length in zip(x, lengths, strict=True)
    ]
    return torch.stack([mean_over_tokens(norm(x), real) * real.sum(dim=1), torch.stack(absolute)])


def array_sums(x: NDArray[np.floating]) -> tuple[float, float]:
    """[n, D] -> the sums of its rows' L2 norms and of |x|: piece by piece by BLAS, so that x is read once."""
    asum = get_blas_funcs("asum", dtype=x.dtype)
    rows = max(1, PIECE // x.shape[1])
    squares = np.empty(len(x), x.dtype)
    absolute = 0.0
    for start in range(0, len(x), rows):
        piece = x[start : start + rows]
        np.vecdot(piece, piece, out=squares[start : start + rows])
        flat = piece.reshape(-1)
        for first in range(0, len(flat), SUM):
            absolute += asum(flat[first : first + SUM])
    return float(np.sqrt(squares, out=squares).sum(dtype=np.float64)), absolute
