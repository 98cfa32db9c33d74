"""Synthetic tables of the probes of a realistic size: 3 layers x 4 heads, two groups of prompts of two templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from rewire.figures.frames import read_frame
from rewire.probes.agreement import SCHEMA as AGREEMENT
from rewire.probes.agreement import agreement_rows
from rewire.probes.comparison import NEURONS as NEURON_COLUMNS
from rewire.probes.pairings import SCHEMA as PAIRINGS
from rewire.probes.pairings import pairing_rows
from rewire.probes.patterns import SCHEMA as PATTERNS
from rewire.probes.profiles import Profile, profiles
from rewire.probes.summary import SCHEMA as SUMMARY
from rewire.tables import schema, write_table

LAYERS, HEADS, NEURONS, EACH = 3, 4, 40, 6
GROUPS = ("start", "end")
COMPONENTS = ("residual_pre", "attention_out", "mlp_out")
SITES = ("z", "q", "k", "v", "pattern")
LABELS = ("name", "last")
TEXT, NUMBER, WHOLE = "string", "float64", "int32"


def row(group: str, site: str, measure: str, value: float, **place: object) -> dict:
    """A row of a summary with an interval of 0.2 around ``value``."""
    numbers = {
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "n": EACH,
        "q": 0.01 if value > 0.5 else 0.5,
    }
    return {"group": group, "site": site, "measure": measure} | numbers | place


def grid_means(groups: Sequence[str] = GROUPS) -> Iterator[dict]:
    """Head 2.1 brings most of the answer in every group, 1.0 in the first; components at both labels."""
    noise = np.random.default_rng(0)
    for group, site, layer in product(("all", *groups), SITES, range(LAYERS)):
        for head in range(HEADS):
            value = 0.9 if (site, layer, head) == ("z", 2, 1) else noise.normal(0, 0.05)
            value = 0.6 if (group, site, layer, head) == (groups[0], "v", 1, 0) else value
            yield row(group, site, "recovered", value, layer=layer, head=head)
    for group, site, layer, label in product(("all", *groups), COMPONENTS, range(LAYERS), LABELS):
        yield row(group, site, "recovered", noise.normal(0.3, 0.3), layer=layer, place=label)


def reading_means(groups: Sequence[str] = GROUPS) -> Iterator[dict]:
    """Direct attribution to heads by group, head 1.2 writing in the second alone; of all prompts: lens, direct attribution, attention and what heads 2.1 and 0.3 would write."""
    noise = np.random.default_rng(1)
    for group, layer, head in product(groups, range(LAYERS), range(HEADS)):
        value = 2.0 if (layer, head) == (2, 1) or (group, layer, head) == (GROUPS[1], 1, 2) else 0.01 * head
        yield row(group, "direct:head", "logit_diff", value, run="clean", layer=layer, head=head)
    for run, sign in (("clean", 1), ("corrupted", -1)):
        for layer in range(LAYERS + 1):
            yield row("all", "lens", "p_correct", 0.3 * layer if sign > 0 else 0.0, run=run, layer=layer)
            yield row("all", "lens", "logit_diff", sign * layer, run=run, layer=layer)
        for site in ("embedding", "position", "final_bias"):
            yield row("all", f"direct:{site}", "logit_diff", 0.1 * sign, run=run)
        for layer in range(LAYERS):
            for site in ("attention", "mlp"):
                yield row("all", f"direct:{site}", "logit_diff", sign * layer / 2, run=run, layer=layer)
            for head in range(HEADS):
                value = sign * (2.0 if (layer, head) == (2, 1) else noise.normal(0, 0.05))
                yield row("all", "direct:head", "logit_diff", value, run=run, layer=layer, head=head)
                for label in LABELS:
                    looked = {"run": run, "layer": layer, "head": head, "place": label}
                    yield row("all", "attention", "attention", noise.uniform(0.2, 0.4), **looked)
    for (layer, head), label in product(((2, 1), (0, 3)), LABELS):
        yield row("all", "outputs", "logit_diff", 1.5 * layer, layer=layer, head=head, place=label)
        yield row("all", "outputs", "rank_attended", 3.0, layer=layer, head=head, place=label)


class ProbeTables:
    """Writes each table of the probes under ``folder`` and returns its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, rows: list[dict], columns) -> Path:
        path = self.folder / f"{name}.parquet"
        write_table(path, rows, columns)
        return path

    def summary(self, groups: Sequence[str] = GROUPS) -> Path:
        return self.write("summary", list(grid_means(groups)), SUMMARY)

    def pairings(self, groups: Sequence[str] = GROUPS) -> Path:
        return self.write("pairings", list(pairing_rows(self.profiles(groups))), PAIRINGS)

    def agreement(self, groups: Sequence[str] = GROUPS) -> Path:
        return self.write("agreement", list(agreement_rows(self.profiles(groups))), AGREEMENT)

    def profiles(self, groups: Sequence[str] = GROUPS) -> list[Profile]:
        tables = (
            (self.summary(groups), SUMMARY.names),
            (self.neurons(groups), NEURON_COLUMNS),
            (self.readings(groups), SUMMARY.names),
        )
        return list(profiles(*(read_frame(path, columns) for path, columns in tables)))

    def readings(self, groups: Sequence[str] = GROUPS) -> Path:
        return self.write("readings", list(reading_means(groups)), SUMMARY)

    def prompts(self) -> Path:
        """Two templates; names differ within a template, `said` does not; the first that differs is token 1."""
        rows = []
        for template, group in enumerate(GROUPS, start=1):
            for i in range(EACH):
                clean = ["The", f"Ġname{i}", "Ġsaid", *["Ġthat"] * (template - 1), f"Ġverb{i}"]
                corrupted = ["The", "Ġother", *clean[2:]]
                labels = {"name": 1, "difference": 1, "last": len(clean) - 1}
                rows.append(
                    {"id": f"{template}-{i}", "group": group, "template": template, "clean": clean}
                    | {"corrupted": corrupted, "difference": 1, "labels": list(labels)}
                    | {
                        "positions": list(labels.values()),
                        "logit_diff_clean": 4.0,
                        "logit_diff_corrupted": -4.0,
                    }
                )
        texts = dict.fromkeys(("id", "group"), TEXT) | dict.fromkeys(
            ("clean", "corrupted", "labels"), "list<string>"
        )
        numbers = dict.fromkeys(("template", "difference"), WHOLE) | {"positions": "list<int32>"}
        ends = dict.fromkeys(("logit_diff_clean", "logit_diff_corrupted"), NUMBER)
        return self.write("prompts", rows, schema(**texts, **numbers, **ends))

    def patches(self) -> Path:
        """The residual stream recovers 1 at the name and 0 after it; attention a quarter at the last token."""
        rows = []
        for template in (1, 2):
            length = 3 + template
            for i, site, layer, at in product(range(EACH), COMPONENTS, range(LAYERS), range(length)):
                share = {"residual_pre": float(at == 1), "attention_out": 0.25 * (at == length - 1)}.get(
                    site, 0.0
                )
                place = {"site": site, "layer": layer, "head": None, "position": at}
                rows.append({"id": f"{template}-{i}", "logit_diff": -4 + 8 * share} | place)
            rows.append(
                {"id": f"{template}-0", "site": "z", "layer": 0, "head": 0, "position": 1, "logit_diff": 99.0}
            )
        numbers = dict.fromkeys(("layer", "head", "position"), WHOLE)
        return self.write("patches", rows, schema(id=TEXT, site=TEXT, **numbers, logit_diff=NUMBER))

    def patterns(self) -> Path:
        """The first prompt of each template: head 2.1 looks at token 1 (weight .75) and at the query, 0.3 at the query."""
        rows = []
        for template, run, (layer, head) in product((1, 2), ("clean", "corrupted"), ((2, 1), (0, 3))):
            for query in range(3 + template):
                weights = np.eye(3 + template)[query]
                if (layer, head) == (2, 1) and query > 1:
                    weights = 0.25 * weights + 0.75 * np.eye(3 + template)[1]
                for key in range(query + 1):
                    place = {"id": f"{template}-0", "run": run, "layer": layer, "head": head}
                    rows.append(place | {"query": query, "key": key, "attention": weights[key]})
        return self.write("patterns", rows, PATTERNS)

    def neurons(self, groups: Sequence[str] = GROUPS) -> Path:
        """Of each layer the first three have tokens; the first of layer 2 recovers most."""
        noise = np.random.default_rng(2)
        rows = []
        for group, layer, neuron in product(("all", *groups), range(LAYERS), range(NEURONS)):
            share = (0.1 * layer + 0.1) / (1 + neuron) if neuron < 3 else noise.normal(0, 0.005)
            rows.append(
                {
                    "group": group,
                    "layer": layer,
                    "neuron": neuron,
                    "recovered": share,
                    "direct": 2 * share,
                    "n": 2 * EACH,
                }
                | {
                    "recovered_low": share - 0.02,
                    "recovered_high": share + 0.02,
                    "q": 0.01 if neuron < 3 else 0.6,
                }
                | {"promoted": ["Ġthe", "Ġ&<", "Ċ"] if neuron < 3 and group == "all" else None}
            )
        numbers = dict.fromkeys(("recovered", "recovered_low", "recovered_high", "direct", "q"), NUMBER)
        columns = {"group": TEXT} | dict.fromkeys(("layer", "neuron", "n"), WHOLE) | numbers
        return self.write("neurons", rows, schema(**columns, promoted="list<string>"))

    def cross(self, measure: str = "logit_diff") -> Path:
        rows = []
        for direction, layer in product(("into-base", "into-finetuned"), range(LAYERS)):
            places = [("residual_post", None), ("attention_out", None), *(("z", h) for h in range(HEADS))]
            for site, head in places:
                share = (1 + layer) / LAYERS if site == "residual_post" else 0.1 * layer
                place = {
                    "direction": direction,
                    "site": site,
                    "layer": layer,
                    "head": head,
                    "measure": measure,
                }
                numbers = {"recovered": share, "recovered_low": share - 0.1, "recovered_high": share + 0.1}
                rows.append({"group": "all", "n": 12, "base": -1.5, "finetuned": 8.0} | place | numbers)
        texts = dict.fromkeys(("group", "direction", "site", "measure"), TEXT)
        numbers = dict.fromkeys(("base", "finetuned", "recovered", "recovered_low", "recovered_high"), NUMBER)
        return self.write(
            "cross", rows, schema(**texts, **dict.fromkeys(("layer", "head", "n"), WHOLE), **numbers)
        )
