"""One set of bootstrap resamples of the examples for everything that is measured on them.

Circuits, fractions and the whole model's two runs are resampled together. Definitions: docs/definitions.md, "Statistics".
"""

from __future__ import annotations

import numpy as np

from rewire.statistics import MINIMUM, Array, bootstrap_weights

COUNT = 1000
TAILS = (0.025, 0.975)


class Resamples:
    """``n`` examples as they are, and ``count`` times drawn anew."""

    def __init__(self, n: int, count: int = COUNT, seed: int = 0) -> None:
        self.n = n
        self.weights = np.vstack([np.full(n, 1 / n), bootstrap_weights(n, count, seed)])  # [1 + count, n]

    def means(self, values: Array) -> Array:
        """[..., n] -> [..., 1 + count]: the mean over the examples, then over each resample."""
        return np.asarray(values, dtype=float) @ self.weights.T

    def interval(self, drawn: Array) -> Array:
        """[..., 1 + count] -> [..., 3]: value, low, high of a statistic of such means (percentile, 95 %).

        No interval (NaN) for fewer than 5 examples, or where the statistic is not finite in a resample.
        """
        out = np.full((*drawn.shape[:-1], 3), np.nan)
        out[..., 0] = drawn[..., 0]
        if self.n >= MINIMUM:
            known = np.isfinite(drawn).all(axis=-1)
            out[known, 1:] = np.quantile(drawn[known][:, 1:], TAILS, axis=-1).T
        return out


def ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(
        numerator, denominator, out=np.full(numerator.shape, np.nan), where=np.asarray(denominator) != 0
    )
