"""The patch grid of a study: every site of every layer, and its effect on the answers of every prompt.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from rewire.models import Model
from rewire.probes.measures import Answers, measure_patches
from rewire.probes.pair_runs import Batch, batches
from rewire.probes.patches import COMPONENTS, HEADS, NONE, Patches, check_sites_known, concatenate, every
from rewire.probes.prompts import Prompts
from rewire.probes.summary import summarise
from rewire.statistics import Array
from rewire.tables import schema

WRITTEN = (
    "attention_out",
    "mlp_out",
)  # patched at all positions together too; the residual stream would be the clean run
EFFECTS = ("correct_from_clean", "correct_from_corrupted", "incorrect_from_clean", "incorrect_from_corrupted")
SCHEMA = schema(
    id="string",
    site="string",
    layer="int32",
    head="int32",
    position="int32",
    token="string",
    p_correct="float64",
    p_incorrect="float64",
    logit_diff="float64",
    **dict.fromkeys(EFFECTS, "float64"),
    recovered="float64",
)
PROMPTS = schema(
    id="string",
    group="string",
    template="int32",
    clean="list<string>",
    corrupted="list<string>",
    correct="string",
    incorrect="string",
    difference="int32",
    labels="list<string>",
    positions="list<int32>",
    **{f"{name}_{run}": "float64" for run in ("clean", "corrupted") for name in Answers.names},
)


def grid_patches(
    model: Model, prompts: Prompts, index: Sequence[int], settings: Mapping[str, Any]
) -> Patches:
    """The patches of the prompts at ``index``, all of one length.

    ``settings``: ``components`` and ``heads``, the sites; ``head_positions``, labels at which heads are patched at one
    position too. What heads, attention and MLPs write is always patched at all positions together too.
    """
    stream, length = model.stream, len(prompts.clean[index[0]])
    layers, heads = range(stream.n_layers), range(stream.n_heads)
    examples = range(len(index))
    whole = [site for site in settings["components"] if site in WRITTEN]
    parts = [
        every(examples, settings["components"], layers, positions=range(length)),
        every(examples, whole, layers),
        every(examples, settings["heads"], layers, heads),
    ]
    for row, number in enumerate(index):
        own = (prompts.position(label, number) for label in settings["head_positions"])
        at = sorted({position for position in own if position is not None})
        parts.append(every([row], settings["heads"], layers, heads, positions=at))
    return concatenate(parts)


def patch_grid(
    model: Model, prompts: Prompts, settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, Array]]:
    """A row an example and patch (columns of SCHEMA), and the measures of the two runs (``clean``, ``corrupted``: [N, 3]).

    ``settings``: components, heads, head_positions, batch_tokens.
    Errors: InputError for an unknown site or label, or a run that is not finite.
    """
    check_sites_known(settings["components"], COMPONENTS)
    check_sites_known(settings["heads"], HEADS)
    prompts.check_labels(settings["head_positions"])
    ends = {side: np.empty((len(prompts), len(Answers.names))) for side in ("clean", "corrupted")}
    frames = []
    for batch in batches(model, prompts, settings["batch_tokens"], "patch grid"):
        patches = grid_patches(model, prompts, batch.index.tolist(), settings)
        frames.append(patched_rows(batch, prompts, patches, ends, settings["batch_tokens"]))
    return in_order(pd.concat(frames, ignore_index=True), prompts), ends


def patched_rows(
    batch: Batch, prompts: Prompts, patches: Patches, ends: dict[str, Array], batch_tokens: int
) -> pd.DataFrame:
    """The rows of one batch; fills the batch's rows of ``ends``."""
    patching, reading = batch.patching, batch.reading
    index = batch.index.numpy()
    for side, run in batch.runs().items():
        example = torch.arange(len(index), device=run.tokens.device)
        final = run.residual(run.stream.n_layers)[:, -1:]
        ends[side][index] = reading.measure(run.stream, example, final).numpy()
    values = measure_patches(patching, reading, patches, batch_tokens).numpy()
    number = index[patches.example.numpy()]
    position, head = patches.position.numpy(), patches.head.numpy()
    tokens = [
        prompts.spelled["clean"][n][at] if at != NONE else None
        for n, at in zip(number, position, strict=True)
    ]
    places = {
        "number": number,
        "id": [prompts.ids[n] for n in number],
        "site": patches.named(),
        "layer": patches.layer.numpy(),
        "head": pd.array(head, dtype="Int32"),
        "position": pd.array(position, dtype="Int32"),
        "token": tokens,
    }
    frame = pd.DataFrame(places | effects(values, ends["clean"][number], ends["corrupted"][number]))
    for name in ("head", "position"):
        frame.loc[frame[name] == NONE, name] = pd.NA
    return frame


def effects(patched: Array, clean: Array, corrupted: Array) -> dict[str, Array]:
    """Measures under patches [R, 3] and what changed: probabilities against both runs, and the share recovered.

    recovered = (LD patched - LD corrupted) / (LD clean - LD corrupted), NaN where the two runs' logit differences are the same.
    """
    out = {name: patched[:, i] for i, name in enumerate(Answers.names)}
    for i, answer in enumerate(("correct", "incorrect")):
        out[f"{answer}_from_clean"] = patched[:, i] - clean[:, i]
        out[f"{answer}_from_corrupted"] = patched[:, i] - corrupted[:, i]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (patched[:, 2] - corrupted[:, 2]) / (clean[:, 2] - corrupted[:, 2])
    out["recovered"] = np.where(clean[:, 2] == corrupted[:, 2], np.nan, share)
    return out


def in_order(frame: pd.DataFrame, prompts: Prompts) -> pd.DataFrame:
    """Rows in the order of the prompts, which batches of one length are not in."""
    return frame.sort_values("number", kind="stable", ignore_index=True)


def prompt_rows(prompts: Prompts, ends: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
    """Rows of PROMPTS. ``ends``: the measures of the two runs, as ``patch_grid`` gives them."""
    for i, name in enumerate(prompts.ids):
        labels = prompts.labels[i]
        measured = {
            f"{m}_{run}": float(v)
            for run, at in ends.items()
            for m, v in zip(Answers.names, at[i], strict=True)
        }
        yield {
            "id": name,
            "group": prompts.groups[i],
            "template": prompts.templates[i],
            **{side: spelled[i] for side, spelled in prompts.spelled.items()},
            "correct": prompts.spell([int(prompts.correct[i])])[0],
            "incorrect": prompts.spell([int(prompts.incorrect[i])])[0],
            "difference": int(prompts.start[i]),
            "labels": list(labels),
            "positions": list(labels.values()),
        } | measured


def grid_summary(frame: pd.DataFrame, prompts: Prompts, ends: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Means by group: all positions together (place null), and at every label that prompts declare.

    Positions of prompts of other templates are not the same place unless they have the same label.
    """
    labelled = pd.DataFrame(
        [
            {"number": i, "position": at, "place": label}
            for i, labels in enumerate(prompts.labels)
            for label, at in labels.items()
        ]
    ).astype({"position": "Int32"})
    whole = frame[frame["position"].isna()].assign(place=None)
    rows = pd.concat([whole, frame.merge(labelled, on=["number", "position"])], ignore_index=True)
    number = rows["number"].to_numpy()
    rows = rows.assign(**{f"logit_diff_{run}": measured[number, 2] for run, measured in ends.items()})
    groups = dict(zip(prompts.ids, prompts.groups, strict=True))
    return summarise(rows, groups, EFFECTS, ratio=True, tested=(*EFFECTS, "recovered"))
