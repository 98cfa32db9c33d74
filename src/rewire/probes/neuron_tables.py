"""Every neuron of chosen layers, patched alone: means over the prompts of each group, and the leading ones' examples.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from rewire.errors import InputError
from rewire.faithfulness.measures import normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.models import Model
from rewire.probes.grid import EFFECTS, effects
from rewire.probes.measures import Answers, measure_patches
from rewire.probes.neurons import direct_effects, promoted_and_suppressed
from rewire.probes.pair_runs import Batch, baselines, batches
from rewire.probes.patches import NONE, every
from rewire.probes.prompts import Prompts
from rewire.probes.summary import grouped
from rewire.statistics import MINIMUM, Array, benjamini_hochberg
from rewire.tables import schema

SCHEMA = schema(
    group="string",
    layer="int32",
    neuron="int32",
    rank="int32",
    **{
        f"{name}{end}": "float64"
        for name in ("recovered", *EFFECTS[1::2], "direct")
        for end in ("", "_low", "_high")
    },
    p="float64",
    q="float64",
    n="int32",
    promoted="list<string>",
    suppressed="list<string>",
)
EXAMPLES = schema(
    id="string",
    layer="int32",
    neuron="int32",
    position="int32",
    p_correct="float64",
    p_incorrect="float64",
    logit_diff="float64",
    **dict.fromkeys(EFFECTS, "float64"),
    recovered="float64",
    direct="float64",
)
EVERYWHERE = "all"  # in the place of a label: all positions together


def neuron_tables(
    model: Model, prompts: Prompts, settings: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Rows of SCHEMA (a row a group, layer and neuron) and of EXAMPLES (the leading neurons of each layer).

    ``settings``: ``layers`` (empty: all), ``position`` (a label, or ``all`` positions together), ``top`` (neurons of a layer, by |recovered|
    over all prompts, that get tokens and examples), ``tokens`` (of each, promoted and suppressed), ``batch_tokens``.
    Errors: InputError for a layer out of range, or a label that not every prompt has.
    """
    stream = model.stream
    layers = list(settings["layers"]) or list(range(stream.n_layers))
    for layer in layers:
        if not 0 <= layer < stream.n_layers:
            raise InputError(f"neurons: layer {layer} is out of range: there are {stream.n_layers}, from 0")
    check_position(prompts, settings["position"])
    ends = baselines(model, prompts, settings["batch_tokens"])
    rows, examples = [], []
    for layer in layers:
        patched, direct = patch_layer(model, prompts, layer, settings)
        own = layer_rows(layer, patched, direct, ends, prompts)
        leading = [row["neuron"] for row in own if row["group"] == "all" and row["rank"] <= settings["top"]]
        name_tokens(model, prompts, layer, own, leading, settings["tokens"])
        rows += own
        examples.append(example_rows(layer, leading, patched, direct, ends, prompts, settings["position"]))
    return rows, pd.concat(examples, ignore_index=True)


def check_position(prompts: Prompts, label: str) -> None:
    """InputError unless every prompt has a position ``label``."""
    if label == EVERYWHERE:
        return
    prompts.check_labels([label])
    for name, labels in zip(prompts.ids, prompts.labels, strict=True):
        if label not in labels:
            raise InputError(
                f"neurons: pair {name} has no position {label!r}; it has {', '.join(sorted(labels))}"
            )


def position_of(prompts: Prompts, number: int, label: str) -> int:
    """Token position of ``label``, NONE for all positions."""
    return NONE if label == EVERYWHERE else prompts.labels[number][label]


def patch_layer(
    model: Model, prompts: Prompts, layer: int, settings: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Measures under each neuron's patch, [examples, N, 3], and direct effects, [examples, N]."""
    count = model.bridge.blocks[layer].mlp.W_out.shape[0]
    patched = np.empty((len(prompts), count, len(Answers.names)))
    direct = np.empty((len(prompts), count))
    for batch in batches(model, prompts, settings["batch_tokens"], f"neurons of layer {layer}"):
        for row, number in enumerate(batch.index.tolist()):
            at = position_of(prompts, number, settings["position"])
            patches = every([row], ["neuron"], [layer], neurons=range(count), positions=[at])
            found = measure_patches(batch.patching, batch.reading, patches, settings["batch_tokens"])
            patched[number] = found.numpy()
        direct[batch.index.numpy()] = effects_on_logits(batch, layer)
    return patched, direct


def effects_on_logits(batch: Batch, layer: int) -> Array:
    return direct_effects(batch.clean, batch.corrupted, batch.answers, layer).numpy()


def layer_rows(
    layer: int, patched: Array, direct: Array, ends: Mapping[str, Array], prompts: Prompts
) -> list[dict[str, Any]]:
    """A row of SCHEMA for each group and neuron of a layer, without tokens."""
    rows = []
    for group, members in grouped(prompts.groups):
        resamples = Resamples(len(members))
        of_runs = {
            side: resamples.means(values[members].T) for side, values in ends.items()
        }  # [3, 1 + count]
        means = resamples.means(patched[members].transpose(2, 1, 0))  # [3, N, 1 + count]
        clean, corrupted = of_runs["clean"][2], of_runs["corrupted"][2]
        measured = {
            "recovered": normalised_interval(means[2], clean, corrupted, resamples),
            "correct_from_corrupted": resamples.interval(means[0] - of_runs["corrupted"][0]),
            "incorrect_from_corrupted": resamples.interval(means[1] - of_runs["corrupted"][1]),
            "direct": resamples.interval(resamples.means(direct[members].T)),
        }
        p = change_p(patched[members, :, 2] - ends["corrupted"][members, None, 2])
        tests = {"p": p, "q": benjamini_hochberg(p)}
        size = np.nan_to_num(np.abs(measured["recovered"][:, 0]), nan=-1.0)
        rank = np.argsort(np.argsort(-size, kind="stable")) + 1
        for neuron in range(len(rank)):
            numbers = {
                name + end: float(values[neuron, i]) if np.isfinite(values[neuron, i]) else None
                for name, values in measured.items()
                for i, end in enumerate(("", "_low", "_high"))
            }
            numbers |= {
                name: float(value[neuron]) if np.isfinite(value[neuron]) else None
                for name, value in tests.items()
            }
            place = {"group": group, "layer": layer, "neuron": neuron, "rank": int(rank[neuron])}
            rows.append(place | numbers | {"n": len(members), "promoted": None, "suppressed": None})
    return rows


def change_p(change: Array) -> Array:
    """p [N] that a patch's mean change [n, N] of the logit difference is 0: a t-test, fewer than 5 examples none (NaN).

    Thousands of neurons need p-values far below what a permutation can reach. No change at all has p 1.
    """
    n = len(change)
    if n < MINIMUM:
        return np.full(change.shape[1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = change.mean(axis=0) / (change.std(axis=0, ddof=1) / np.sqrt(n))
    return np.where((change == 0).all(axis=0), 1.0, 2 * stats.t.sf(np.abs(t), n - 1))


def name_tokens(
    model: Model,
    prompts: Prompts,
    layer: int,
    rows: Sequence[dict[str, Any]],
    leading: Sequence[int],
    count: int,
) -> None:
    """Fill in the tokens that the ``leading`` neurons raise and lower."""
    up, down = promoted_and_suppressed(model.stream, layer, torch.tensor(leading), count)
    tokens = {
        neuron: {"promoted": prompts.spell(up[i].tolist()), "suppressed": prompts.spell(down[i].tolist())}
        for i, neuron in enumerate(leading)
    }
    for row in rows:
        row |= tokens.get(row["neuron"], {})


def example_rows(
    layer: int,
    leading: Sequence[int],
    patched: Array,
    direct: Array,
    ends: Mapping[str, Array],
    prompts: Prompts,
    label: str,
) -> pd.DataFrame:
    """Rows of EXAMPLES of the ``leading`` neurons of a layer."""
    n, k = len(prompts), len(leading)
    number, neuron = np.repeat(np.arange(n), k), np.tile(leading, n)
    at = pd.array([position_of(prompts, i, label) for i in number.tolist()], dtype="Int32")
    frame = pd.DataFrame(
        {"id": [prompts.ids[i] for i in number], "layer": layer, "neuron": neuron, "position": at}
        | effects(patched[number, neuron], ends["clean"][number], ends["corrupted"][number])
        | {"direct": direct[number, neuron]}
    )
    frame["position"] = frame["position"].mask(frame["position"] == NONE)
    return frame
