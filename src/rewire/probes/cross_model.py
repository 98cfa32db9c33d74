"""One model with another's activations: what fine-tuning changed where. Both models read the same tokens.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.faithfulness.measures import normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.probes.measures import Answers, Reading, TargetNll, measure_patches, measure_run
from rewire.probes.patches import COMPONENTS, HEADS, Patches, check_sites_known, concatenate, every
from rewire.probes.patching import Patching
from rewire.probes.prompts import Prompts
from rewire.probes.runs import Run
from rewire.probes.summary import grouped
from rewire.progress import bar
from rewire.tables import schema

DIRECTIONS = ("into-base", "into-finetuned")
SCHEMA = schema(
    id="string",
    direction="string",
    site="string",
    layer="int32",
    head="int32",
    measure="string",
    base="float64",
    finetuned="float64",
    patched="float64",
)
SUMMARY = schema(
    group="string",
    direction="string",
    site="string",
    layer="int32",
    head="int32",
    measure="string",
    base="float64",
    finetuned="float64",
    patched="float64",
    recovered="float64",
    recovered_low="float64",
    recovered_high="float64",
    n="int32",
)


@dataclass(frozen=True)
class Example:
    """One prompt, int64 [1, T], and what it is measured by."""

    id: str
    tokens: Tensor
    reading: Reading


def prompt_examples(prompts: Prompts) -> Iterator[Example]:
    """The clean side of prompt pairs: probabilities of the answers and logit difference."""
    for i, name in enumerate(prompts.ids):
        reading = Answers(prompts.correct[i : i + 1], prompts.incorrect[i : i + 1])
        yield Example(name, prompts.clean[i][None], reading)


def summary_examples(ids: Sequence[str], pairs: TokenPairs) -> Iterator[Example]:
    """The clean side of article pairs: the NLL of the targets. The last token is only predicted."""
    for i, name in enumerate(ids):
        length, targets = int(pairs.lengths[i]), int(pairs.target_tokens[i])
        row = pairs.clean[i : i + 1, :length]
        yield Example(name, row[:, :-1], TargetNll(row[:, length - targets :]))


def cross_patch(
    base: Model,
    finetuned: Model,
    examples: Sequence[Example],
    components: Sequence[str],
    heads: Sequence[str],
    batch_tokens: int = 4096,
) -> pd.DataFrame:
    """Rows of SCHEMA: each measure of each example under each patch, both ways.

    ``components``, ``heads``: the sites that are taken from the other model, at all positions, one layer or head at a time.
    Errors: InputError for an unknown site, models of different shapes, a prompt that does not fit, a run that is not finite.
    """
    check_same_shape(base, finetuned)
    check_sites_known(components, COMPONENTS)
    check_sites_known(heads, HEADS)
    stream = base.stream
    layers = range(stream.n_layers)
    patches = concatenate([every([0], components, layers), every([0], heads, layers, range(stream.n_heads))])
    frames = []
    with bar(len(examples), "cross-model patches", "prompt") as progress:
        for example in examples:
            base.check_length(example.tokens.shape[1])
            runs = [Run(model.stream, example.tokens) for model in (base, finetuned)]
            frames += [*example_frames(example, runs, patches, batch_tokens)]
            progress.update()
    return pd.concat(frames, ignore_index=True)


def check_same_shape(base: Model, finetuned: Model) -> None:
    """InputError unless activations of one model fit into the other."""
    shapes = []
    for model in (base, finetuned):
        stream = model.stream
        neurons = stream.bridge.blocks[0].mlp.W_out.shape[0]
        shapes.append(
            (stream.n_layers, stream.n_heads, stream.d_model, stream.d_head, neurons, len(stream.embedding))
        )
    if shapes[0] != shapes[1]:
        names = "layers, heads, width, head width, neurons, words"
        raise InputError(
            f"cross-model patches: base and fine-tuned differ in shape ({names}): {shapes[0]}, {shapes[1]}"
        )


def example_frames(
    example: Example, runs: Sequence[Run], patches: Patches, batch_tokens: int
) -> Iterator[pd.DataFrame]:
    """Rows of one example: what the recipient measures with each activation of the donor, in both directions."""
    reading = example.reading
    for direction, (recipient, donor) in zip(DIRECTIONS, (runs, runs[::-1]), strict=True):
        patching = Patching(donor, recipient, torch.zeros(1, dtype=torch.long), reading.reads)
        values = measure_patches(patching, reading, patches, batch_tokens).numpy()  # [R, M]
        own = {which: measure_run(patching, reading, which)[0].numpy() for which in ("recipient", "donor")}
        if not all(np.isfinite(value).all() for value in own.values()):
            raise InputError(f"cross-model patches: example {example.id}: a model's run is not finite")
        ends = (
            (own["recipient"], own["donor"])
            if direction == DIRECTIONS[0]
            else (own["donor"], own["recipient"])
        )
        for i, measure in enumerate(reading.names):
            frame = pd.DataFrame(
                {
                    "id": example.id,
                    "direction": direction,
                    "site": patches.named(),
                    "layer": patches.layer.numpy(),
                    "head": pd.array(patches.head.numpy(), dtype="Int32"),
                    "measure": measure,
                    "base": ends[0][i],
                    "finetuned": ends[1][i],
                    "patched": values[:, i],
                }
            )
            frame["head"] = frame["head"].mask(frame["head"] < 0)
            yield frame


def cross_summary(frame: pd.DataFrame, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of SUMMARY. ``groups``: of the examples, in the order of their first rows.

    recovered, a ratio of means: (patched - base) / (finetuned - base) into the base, (patched - finetuned) / (base -
    finetuned) into the fine-tuned model: 1 is the donor's value. No interval where the models' difference may be 0.
    """
    n = frame["id"].nunique()
    places = ["direction", "site", "layer", "head", "measure"]
    blocks = dict(iter(frame.assign(head=frame["head"].fillna(-1)).groupby(places, sort=False)))
    rows = []
    for group, members in grouped(groups):
        resamples = Resamples(len(members))
        for (direction, site, layer, head, measure), block in blocks.items():
            assert len(block) == n
            means = {
                name: resamples.means(block[name].to_numpy()[members])
                for name in ("base", "finetuned", "patched")
            }
            whole, nothing = ("finetuned", "base") if direction == DIRECTIONS[0] else ("base", "finetuned")
            share = normalised_interval(means["patched"], means[whole], means[nothing], resamples)
            numbers = {name: mean[0] for name, mean in means.items()}
            numbers |= dict(zip(("recovered", "recovered_low", "recovered_high"), share, strict=True))
            place = {
                "group": group,
                "direction": direction,
                "site": site,
                "layer": int(layer),
                "measure": measure,
            }
            rows.append(
                place
                | {"head": None if head < 0 else int(head), "n": len(members)}
                | {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
            )
    return rows
