"""How large activations are in two models. Definitions: docs/definitions.md, "Differential"."""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.differential.averages import mean_over_tokens

MAGNITUDES = ("norm_base", "norm", "mean_absolute_base", "mean_absolute")


def magnitudes(p: Tensor, q: Tensor, real: Tensor) -> dict[str, Tensor]:
    """[B, T, D] of P and of Q -> float64 [B] each, means over the real tokens (bool [B, T]).

    ``norm``: L2 norm / sqrt(D); ``mean_absolute``: mean over D of |x|; P's with ``_base`` behind the name.
    """
    root_mean_square = [torch.linalg.vector_norm(x, dim=-1) / x.shape[-1] ** 0.5 for x in (p, q)]
    mean_absolute = [absolute_means(x) for x in (p, q)]
    by_token = torch.stack(root_mean_square + mean_absolute)  # [4, B, T]
    return dict(zip(MAGNITUDES, mean_over_tokens(by_token, real), strict=True))


def absolute_means(x: Tensor) -> Tensor:
    """[B, T, D] -> [B, T]: mean over D of |x|, one example at a time, so that |x| stays in the cache."""
    absolute = torch.empty_like(x[0])
    return torch.stack([torch.abs(example, out=absolute).mean(dim=-1) for example in x])
