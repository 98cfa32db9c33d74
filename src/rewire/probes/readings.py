"""What is read off the two runs of every prompt, without patching: direct attribution, lens, attention, leading heads.

Every function gives a row an example and place. Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rewire.models import Model
from rewire.probes import heads as readings_of_heads
from rewire.probes.direct import NONE, attribute_logits, logit_lens
from rewire.probes.heads import Head, check_heads
from rewire.probes.pair_runs import Batch, batches
from rewire.probes.patterns import patterns
from rewire.probes.prompts import Prompts
from rewire.tables import schema

DIRECT = schema(
    id="string",
    run="string",
    component="string",
    layer="int32",
    head="int32",
    correct="float64",
    incorrect="float64",
    logit_diff="float64",
)
LENS = schema(
    id="string",
    run="string",
    layer="int32",
    p_correct="float64",
    p_incorrect="float64",
    logit_diff="float64",
    rank="int32",
)
ATTENTION = schema(
    id="string",
    run="string",
    layer="int32",
    head="int32",
    place="string",
    position="int32",
    attention="float64",
)
OUTPUTS = schema(
    id="string",
    layer="int32",
    head="int32",
    place="string",
    token="string",
    attention="float64",
    rank_correct="int32",
    rank_incorrect="int32",
    rank_attended="int32",
    logit_diff="float64",
)
KEYS = schema(id="string", layer="int32", head="int32", rank="int32", token="string", score="float64")
BASELINES = schema(
    id="string",
    baseline="string",
    layer="int32",
    head="int32",
    place="string",
    p_correct="float64",
    p_incorrect="float64",
    logit_diff="float64",
    rank="int32",
)
ANSWER_COLUMNS = ("p_correct", "p_incorrect", "logit_diff", "rank")
OUTPUT_COLUMNS = ("rank_correct", "rank_incorrect", "rank_attended", "logit_diff")


class Readings:
    """The tables' rows, filled batch by batch. ``heads``: those that are read closely."""

    def __init__(self, prompts: Prompts, heads: Sequence[Head], labels: Sequence[str], keys: int) -> None:
        """``labels``: positions that attention is read at; ``keys``: how many of a query's strongest keys are listed."""
        self.prompts, self.heads, self.labels, self.keys = prompts, list(heads), list(labels), keys
        self.frames: dict[str, list[pd.DataFrame]] = {
            name: []
            for name in ("direct", "lens", "attention", "outputs", "key_tokens", "baselines", "patterns")
        }

    def add(self, batch: Batch) -> None:
        """Both runs' attribution, lens, attention and patterns; the clean run's heads and baselines."""
        for side, run in batch.runs().items():
            components, parts = attribute_logits(run, batch.answers)
            self._add_direct(batch, side, components, parts)
            lens = logit_lens(run, batch.answers)
            depth = [{"run": side, "layer": layer} for layer in range(lens.shape[1])]
            self._keep("lens", batch, depth, lens, ANSWER_COLUMNS)
        for label in self.labels:
            rows, position = self._where(batch, label)
            if len(rows):
                self._add_attention(batch, label, rows, position)
        self._add_baselines(batch)
        self.frames["patterns"] += patterns(batch, self.prompts, self.heads)

    def _where(self, batch: Batch, label: str) -> tuple[Tensor, Tensor]:
        """The prompts of a batch that have a label (int64 [b]), and where (int64 [b])."""
        found = [self.prompts.position(label, number) for number in batch.index.tolist()]
        rows = [row for row, at in enumerate(found) if at is not None]
        return torch.tensor(rows, dtype=torch.long), torch.tensor(
            [found[row] for row in rows], dtype=torch.long
        )

    def _add_direct(self, batch: Batch, side: str, components: Sequence[Any], parts: Tensor) -> None:
        places = [{"run": side, "component": c.name, "layer": c.layer, "head": c.head} for c in components]
        values = torch.cat([parts, parts[..., :1] - parts[..., 1:]], dim=-1)
        self._keep("direct", batch, places, values, ("correct", "incorrect", "logit_diff"))

    def _add_attention(self, batch: Batch, label: str, rows: Tensor, position: Tensor) -> None:
        """Attention of all heads on a label, and what the leading heads would write about its token."""
        at = torch.zeros(len(batch.index), dtype=torch.long)
        at[rows] = position
        weights = {side: readings_of_heads.attention_to(run, at) for side, run in batch.runs().items()}
        n_layers, n_heads = weights["clean"].shape[1:]
        places = [{"layer": layer, "head": head} for layer in range(n_layers) for head in range(n_heads)]
        for side, weight in weights.items():
            own = [{"run": side, **place, "place": label} for place in places]
            frame = self._frame(batch, own, weight.flatten(1)[..., None], ("attention",), rows)
            frame["position"] = np.repeat(position.numpy(), len(own))
            self.frames["attention"].append(frame)
        for layer, head in self.heads:
            read = readings_of_heads.output_reading(batch.clean, (layer, head), at, batch.answers)
            values = torch.cat([read, weights["clean"][:, layer, head, None]], dim=1)[:, None]
            place = {"layer": layer, "head": head, "place": label}
            frame = self._frame(batch, [place], values, (*OUTPUT_COLUMNS, "attention"), rows)
            spelled = self.prompts.spelled["clean"]
            numbers = batch.index[rows].tolist()
            frame["token"] = [spelled[n][p] for n, p in zip(numbers, position.tolist(), strict=True)]
            self.frames["outputs"].append(frame)
            skips = rows[
                position < batch.clean.shape[1] - 1
            ]  # a head that looks at the last token makes no skip
            if len(skips):
                value = readings_of_heads.skip_trigram(batch.clean, (layer, head), at, batch.answers)
                place = {"baseline": "skip-trigram", **place}
                self.frames["baselines"].append(
                    self._frame(batch, [place], value[:, None], ANSWER_COLUMNS, skips)
                )

    def _add_baselines(self, batch: Batch) -> None:
        """The bigram, and the strongest keys of the leading heads' last queries."""
        place = {"baseline": "bigram", "layer": NONE, "head": NONE, "place": None}
        value = readings_of_heads.bigram(batch.clean, batch.answers)
        self._keep("baselines", batch, [place], value[:, None], ANSWER_COLUMNS)
        last = torch.full((len(batch.index),), batch.clean.shape[1] - 1)
        for layer, head in self.heads:
            ids, scores = readings_of_heads.strongest_keys(batch.clean, (layer, head), last, self.keys)
            places = [{"layer": layer, "head": head, "rank": rank + 1} for rank in range(ids.shape[1])]
            frame = self._frame(batch, places, scores[..., None], ("score",))
            frame["token"] = self.prompts.spell(ids.flatten().tolist())
            self.frames["key_tokens"].append(frame)

    def _keep(
        self, table: str, batch: Batch, places: list[dict[str, Any]], values: Tensor, names: Sequence[str]
    ) -> None:
        self.frames[table].append(self._frame(batch, places, values, names))

    def _frame(
        self,
        batch: Batch,
        places: list[dict[str, Any]],
        values: Tensor,
        names: Sequence[str],
        rows: Tensor | None = None,
    ) -> pd.DataFrame:
        """A row for each of the batch's prompts (``rows`` of it) and each place; ``values``: [B, places, len(names)]."""
        values = values if rows is None else values[rows]
        number = (batch.index if rows is None else batch.index[rows]).numpy()
        flat = values.reshape(-1, len(names)).numpy()
        columns = {key: [place[key] for place in places] * len(number) for key in places[0]}
        frame = pd.DataFrame({"number": np.repeat(number, len(places)), **columns})
        for name, column in zip(names, flat.T, strict=True):
            frame[name] = column
        for name in ("layer", "head"):
            if name in frame:
                frame[name] = frame[name].astype("Int32").mask(frame[name] == NONE)
        frame.insert(1, "id", [self.prompts.ids[n] for n in frame["number"]])
        return frame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table, the prompts in their order."""
        return {
            name: pd.concat(frames, ignore_index=True).sort_values("number", kind="stable", ignore_index=True)
            for name, frames in self.frames.items()
            if frames
        }


def read_heads_and_logits(
    model: Model, prompts: Prompts, heads: Sequence[Head], labels: Sequence[str], keys: int, batch_tokens: int
) -> dict[str, pd.DataFrame]:
    """Tables ``direct``, ``lens``, ``attention``, ``outputs``, ``key_tokens``, ``baselines``, ``patterns`` (those that have rows).

    Errors: InputError for a head that the model has not, or a label that no prompt declares.
    """
    check_heads(model.stream, heads)
    prompts.check_labels(labels)
    readings = Readings(prompts, heads, labels, keys)
    for batch in batches(model, prompts, batch_tokens, "readings"):
        readings.add(batch)
    return readings.tables()


def by_layer(direct: pd.DataFrame) -> pd.DataFrame:
    """Direct attribution summed: rows ``attention`` (a layer's heads and bias) and ``block`` (that and its MLP)."""
    parts = {"attention": ("head", "attention_bias"), "block": ("head", "attention_bias", "mlp")}
    sums = []
    for name, components in parts.items():
        own = direct[direct["component"].isin(components)]
        total = own.groupby(["id", "run", "layer"], sort=False)[["correct", "incorrect", "logit_diff"]].sum()
        sums.append(total.reset_index().assign(component=name))
    return pd.concat(sums, ignore_index=True)


def leading_heads(summary: Sequence[dict[str, Any]], count: int, site: str = "z") -> Iterator[Head]:
    """The ``count`` heads whose output recovers most of the logit difference, over all prompts and positions, first first."""
    rows = [
        row
        for row in summary
        if (row["group"], row["site"], row["measure"], row["place"]) == ("all", site, "recovered", None)
        and row["value"] is not None
    ]
    for row in sorted(rows, key=lambda row: -abs(row["value"]))[:count]:
        yield row["layer"], row["head"]
