"""The probes stage: a model folder and a study in, tables out; one function a rule. Definitions: docs/definitions.md, "Probes"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from rewire.errors import InputError
from rewire.models import Model, load
from rewire.pairs import read_pairs
from rewire.probes import cross_model, grid, neuron_tables, patterns, readings, summary
from rewire.probes.prompts import Prompts, encode_study
from rewire.probes.studies import FIRST, LAST, read_study
from rewire.tables import read_table, write_table

READINGS = {
    "direct": readings.DIRECT,
    "lens": readings.LENS,
    "attention": readings.ATTENTION,
    "outputs": readings.OUTPUTS,
    "key_tokens": readings.KEYS,
    "baselines": readings.BASELINES,
    "patterns": patterns.SCHEMA,
}
MEANS = {  # of the readings: which column says what is averaged, and the measures
    "direct": ("component", ("correct", "incorrect", "logit_diff")),
    "lens": (None, ("p_correct", "p_incorrect", "logit_diff", "rank")),
    "attention": (None, ("attention",)),
    "outputs": (None, ("rank_correct", "rank_incorrect", "rank_attended", "logit_diff")),
    "baselines": ("baseline", ("p_correct", "p_incorrect", "logit_diff", "rank")),
}


def open_study(checkpoint: str | Path, study: str | Path) -> tuple[Model, Prompts]:
    """The model in ``checkpoint`` and the study's prompts as its tokens."""
    written = read_study(study)
    model = load(checkpoint)
    return model, encode_study(written, model)


def write_patches(
    checkpoint: str | Path, study: str | Path, settings: Mapping[str, Any], tables: Mapping[str, str | Path]
) -> None:
    """The patch grid of a study.

    ``settings``: components, heads (sites), head_positions (labels), batch_tokens. ``tables``: where to write ``prompts`` (a
    row a pair), ``patches`` (a row a pair and patch) and ``summary`` (means by group).
    """
    model, prompts = open_study(checkpoint, study)
    frame, ends = grid.patch_grid(model, prompts, settings)
    means = grid.grid_summary(frame, prompts, ends)
    write_table(tables["prompts"], list(grid.prompt_rows(prompts, ends)), grid.PROMPTS)
    write_table(tables["patches"], columns(frame, grid.SCHEMA), grid.SCHEMA)
    write_table(tables["summary"], means, summary.SCHEMA)


def write_neurons(
    checkpoint: str | Path, study: str | Path, settings: Mapping[str, Any], tables: Mapping[str, str | Path]
) -> None:
    """Every neuron of chosen layers, patched alone.

    ``settings``: layers (empty: all), position (a label or ``all``), top, tokens, batch_tokens. ``tables``: ``neurons`` (a row a group and
    neuron) and ``examples`` (the leading neurons of each layer, a row a pair).
    """
    model, prompts = open_study(checkpoint, study)
    rows, examples = neuron_tables.neuron_tables(model, prompts, settings)
    write_table(tables["neurons"], rows, neuron_tables.SCHEMA)
    write_table(tables["examples"], columns(examples, neuron_tables.EXAMPLES), neuron_tables.EXAMPLES)


def write_readings(
    checkpoint: str | Path,
    study: str | Path,
    patches: str | Path,
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """Direct attribution, lens, attention and baselines of a study, and its leading heads read closely.

    ``patches``: the summary of ``write_patches``, which says what heads lead. ``settings``: top_heads (how many), labels
    (positions that are attended to; empty: all that the study declares), keys (listed a query), batch_tokens. ``tables``: a path
    for each of READINGS, and ``summary`` (means by group). Errors: InputError for patches without heads' outputs (site z).
    """
    model, prompts = open_study(checkpoint, study)
    leading = list(readings.leading_heads(read_table(patches).to_pylist(), settings["top_heads"]))
    if not leading:
        raise InputError(
            f"{patches}: no head's output (site z) recovers a share that leading heads could be chosen by"
        )
    found = readings.read_heads_and_logits(
        model,
        prompts,
        leading,
        labels_read(prompts, settings["labels"]),
        settings["keys"],
        settings["batch_tokens"],
    )
    groups = dict(zip(prompts.ids, prompts.groups, strict=True))
    means = [row for name in MEANS for row in reading_means(name, found[name], groups)]
    for name, table_schema in READINGS.items():
        write_table(tables[name], columns(found[name], table_schema), table_schema)
    write_table(tables["summary"], means, summary.SCHEMA)


def labels_read(prompts: Prompts, labels: Sequence[str]) -> list[str]:
    """``labels``, or all that the study declares and what every prompt has."""
    declared = dict.fromkeys(label for own in prompts.labels for label in own)
    return list(labels) or [*(name for name in declared if name not in (FIRST, LAST)), FIRST, LAST]


def reading_means(name: str, frame: pd.DataFrame, groups: Mapping[str, str]) -> list[dict[str, Any]]:
    """Means of one of the readings; ``site`` says which reading, or which component of it."""
    column, measures = MEANS[name]
    if name == "direct":
        frame = pd.concat([frame, readings.by_layer(frame)], ignore_index=True)
    site = name if column is None else name + ":" + frame[column]
    tested = ("logit_diff",) if name == "direct" else ()
    return summary.summarise(frame.assign(site=site), groups, measures, tested=tested)


def write_cross_study(
    base: str | Path,
    finetuned: str | Path,
    study: str | Path,
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """The base model with the fine-tuned one's activations and back, on the clean side of a study's prompts.

    ``settings``: components, heads (sites), batch_tokens. ``tables``: ``examples`` (a row an example, measure and patch) and
    ``summary`` (means by group).
    """
    written = read_study(study)
    models = [load(source) for source in (base, finetuned)]
    prompts = encode_study(written, models[0])
    examples = list(cross_model.prompt_examples(prompts))
    write_cross(models, examples, prompts.groups, settings, tables)


def write_cross_pairs(
    base: str | Path,
    finetuned: str | Path,
    pairs: str | Path,
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """The same on the clean articles of a pair table: the NLL of their summaries. ``settings`` and ``tables`` as above."""
    ids, examples = read_pairs(pairs)
    models = [load(source) for source in (base, finetuned)]
    for model in models:
        model.check_pairs(examples)
    chosen = list(cross_model.summary_examples(ids, examples))
    write_cross(models, chosen, ["all"] * len(ids), settings, tables)


def write_cross(
    models: Sequence[Model],
    examples: Sequence[cross_model.Example],
    groups: Sequence[str],
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """Patch, sum up and write both tables."""
    base, finetuned = models
    frame = cross_model.cross_patch(
        base, finetuned, examples, settings["components"], settings["heads"], settings["batch_tokens"]
    )
    means = cross_model.cross_summary(frame, groups)
    write_table(tables["examples"], columns(frame, cross_model.SCHEMA), cross_model.SCHEMA)
    write_table(tables["summary"], means, cross_model.SUMMARY)


def columns(frame: pd.DataFrame, table_schema: pa.Schema) -> dict[str, pa.Array]:
    """The frame's columns of ``table_schema``; NaN becomes null."""
    return {
        field.name: pa.array(frame[field.name], type=field.type, from_pandas=True) for field in table_schema
    }
