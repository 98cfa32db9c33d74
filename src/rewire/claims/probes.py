"""Measures of a study's probes: which layers, heads and neurons recover most, and how likely an answer is.

Their tables are those of the one study that a claim names (``study``), of the base checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewire import statistics
from rewire.claims.frames import NotRun, Tables, frame
from rewire.statistics import Estimate

Shares = Callable[
    [NDArray[Any]], NDArray[Any]
]  # indices of pairs [..., n] -> what places recover [..., places]
Place = tuple[int, int]  # layer and head; layer and NONE
NONE = -1
DRAWS = 1000
SPACES = {"Ġ": " ", "▁": " "}  # how tokenizers spell a space


def recovered(tables: Tables, site: str) -> tuple[list[Place], Shares, int]:
    """Places of a site that was patched at all positions together, their shares of any resample, number of pairs."""
    patches, prompts = frame(tables, "patches"), frame(tables, "prompts")
    rows = patches[(patches["site"] == site) & patches["position"].isna()]
    if not len(rows):
        raise NotRun(f"site {site}")
    wide = rows.assign(head=rows["head"].fillna(NONE).astype(int)).pivot(
        index="id", columns=["layer", "head"], values="logit_diff"
    )
    ends = prompts.set_index("id").loc[wide.index]
    clean, corrupted = (ends[f"logit_diff_{run}"].to_numpy() for run in ("clean", "corrupted"))
    change = wide.to_numpy() - corrupted[:, None]  # [pairs, places]

    def shares(index: NDArray[Any]) -> NDArray[Any]:
        # how often each pair was drawn, not the drawn rows themselves: a resample takes no memory a place
        times = np.apply_along_axis(np.bincount, -1, index.astype(int), minlength=len(change))
        with np.errstate(invalid="ignore", divide="ignore"):
            return (times @ change) / (times @ (clean - corrupted))[..., None]

    return [(int(layer), int(head)) for layer, head in wide.columns], shares, len(wide)


def over_pairs(n: int, measure: Callable[[NDArray[Any]], NDArray[Any]]) -> Estimate:
    """The measure of all pairs and its interval over resamples; ``measure``: indices [..., n] -> [...]."""
    return statistics.estimate([np.arange(n)], lambda index, axis=-1: measure(np.moveaxis(index, axis, -1)))


def leading_layer(site: str) -> Callable[[Tables], Estimate]:
    """The layer whose attention or MLP output recovers most at all positions together."""

    def measure(tables: Tables) -> Estimate:
        places, shares, n = recovered(tables, site)
        layers = np.array([layer for layer, _ in places], dtype=float)
        return over_pairs(n, lambda index: layers[shares(index).argmax(axis=-1)])

    return measure


def leading_among(site: str, *published: Place) -> Callable[[Tables], Estimate]:
    """How many of the ``published`` places are among as many that recover most."""

    def measure(tables: Tables) -> Estimate:
        places, shares, n = recovered(tables, site)
        if not set(published) <= set(places):
            raise NotRun(f"{site} of {published}")
        named = np.array([place in published for place in places])

        def found(index: NDArray[Any]) -> NDArray[Any]:
            order = np.argsort(-shares(index), axis=-1, kind="stable")[..., : len(published)]
            return named[order].sum(axis=-1).astype(float)

        return over_pairs(n, found)

    return measure


def more_by(more: str, less: str, place: Place) -> Callable[[Tables], Estimate]:
    """What a head recovers by one of its sites minus what it recovers by another."""

    def measure(tables: Tables) -> Estimate:
        both = [recovered(tables, site) for site in (more, less)]
        if any(place not in places for places, _, _ in both):
            raise NotRun(f"head {place}")
        sites = [(shares, places.index(place)) for places, shares, _ in both]
        return over_pairs(
            both[0][2], lambda index: np.subtract(*(shares(index)[..., at] for shares, at in sites))
        )

    return measure


def neurons_among(best: int, *published: Place) -> Callable[[Tables], Estimate]:
    """How many of the ``published`` (layer, neuron) are among the ``best`` of their layer by |recovered|.

    The table holds means over pairs. The interval draws every neuron's share anew from a normal distribution with the
    standard error of its bootstrap interval, one independent of the other.
    """

    def measure(tables: Tables) -> Estimate:
        table = frame(tables, "neurons")
        table = table[table["group"] == "all"]
        generator = np.random.default_rng(0)
        count, drawn = 0, np.zeros(DRAWS)
        for layer, neuron in published:
            own = table[table["layer"] == layer].sort_values("neuron")
            if neuron not in set(own["neuron"]):
                raise NotRun(f"neuron {neuron} of layer {layer}")
            is_it = (own["neuron"] == neuron).to_numpy()
            size = own["recovered"].to_numpy(dtype=float)
            error = (own["recovered_high"] - own["recovered_low"]).to_numpy(dtype=float) / (2 * 1.96)
            count += ranked(np.abs(size)[None], is_it)[0] <= best
            draws = np.abs(
                generator.normal(size, np.where(np.isfinite(error), error, np.nan), (DRAWS, len(own)))
            )
            drawn += np.where(np.isfinite(draws[:, is_it][:, 0]), ranked(draws, is_it) <= best, np.nan)
        low, high = np.quantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).all() else (np.nan, np.nan)
        return Estimate(float(count), float(low), float(high), int(table["n"].max()))

    return measure


def ranked(sizes: NDArray[Any], is_it: NDArray[Any]) -> NDArray[Any]:
    """[draws]: the place of one column of ``sizes`` [draws, neurons], 1 the largest."""
    return 1 + (sizes > sizes[:, is_it]).sum(axis=1)


def probability(text: str, answer: str) -> Callable[[Tables], Estimate]:
    """Probability of an answer after one clean prompt. Nothing is sampled: the interval is the value."""

    def measure(tables: Tables) -> Estimate:
        table = frame(tables, "prompts")
        own = table[table["clean"].map(spelled) == text]
        for name in ("correct", "incorrect"):
            found = own.loc[own[name].map(lambda token: spelled([token])) == answer, f"p_{name}_clean"]
            if len(found):
                value = float(found.iloc[0])
                return Estimate(value, value, value, 1)
        raise NotRun(f"{text!r} with {answer!r}")

    return measure


def spelled(tokens: Sequence[str]) -> str:
    """Tokens as text."""
    text = "".join(tokens)
    for mark, space in SPACES.items():
        text = text.replace(mark, space)
    return text
