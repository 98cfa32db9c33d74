"""What each group of prompts uses, as profiles over the model's parts that can be set side by side. No torch.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from rewire.probes.studies import ALL, FIRST, LAST

NONE = -1  # layer, head or neuron of a place that has none
PLACE = ("site", "layer", "head", "neuron", "place")
COLUMNS = ("group", *PLACE, "value", "low", "high", "n")
# family of places -> its sites, whether they are patched at all positions together (else: at labels), and the measure
PATCHED = {
    "layers": (("attention_out", "mlp_out"), True),
    "heads": (("z", "q", "k", "v", "pattern"), True),
    "components": (("residual_pre", "residual_post", "attention_out", "mlp_out"), False),
}
RECOVERED, WRITTEN = "recovered", "logit_diff"
ATTRIBUTED = ("direct:head", "direct:mlp")  # of the clean run: what writes its logit difference


@dataclass(frozen=True)
class Profile:
    """One family of places. ``rows``: columns COLUMNS, a row a group and place, groups in the study's order."""

    family: str
    measure: str
    rows: pd.DataFrame

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(self.rows["group"]))

    def table(self, column: str = "value") -> pd.DataFrame:
        """Groups by places of one column: the places where every group has a value."""
        wide = self.rows.pivot(index="group", columns=list(PLACE), values="value")
        known = wide.columns[wide.notna().all()]
        if column != "value":
            wide = self.rows.pivot(index="group", columns=list(PLACE), values=column)
        return wide.loc[self.groups, known].astype(float)


def profiles(summary: pd.DataFrame, neurons: pd.DataFrame, readings: pd.DataFrame) -> Iterator[Profile]:
    """Heads, layers, components at labels, neurons by what they recover; heads and MLPs by what they write.

    ``summary``: of the patch grid; ``neurons``: of single neurons; ``readings``: means of the readings.
    """
    shares = summary[summary["measure"] == RECOVERED]
    for family, (sites, whole) in PATCHED.items():
        own = shares[shares["site"].isin(sites) & (shares["place"].isna() == whole)]
        yield Profile(family, RECOVERED, places(own) if whole else distinct(places(own)))
    ends = {f"{RECOVERED}{end}": name for end, name in (("", "value"), ("_low", "low"), ("_high", "high"))}
    yield Profile("neurons", RECOVERED, places(neurons.rename(columns=ends).assign(site="neuron")))
    written = readings[readings["site"].isin(ATTRIBUTED) & (readings["measure"] == WRITTEN)]
    yield Profile("attribution", WRITTEN, places(written[written["run"] == "clean"]))


def places(rows: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS of the rows of single groups; what a place lacks is NONE or an empty text, since null is no key."""
    own = rows[rows["group"] != ALL].reindex(columns=list(COLUMNS))
    numbers = {name: own[name].fillna(NONE).astype("int64") for name in ("layer", "head", "neuron")}
    return own.assign(**numbers, place=own["place"].astype(object).where(own["place"].notna(), ""))


def distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS without ``difference`` and ``last`` where they are another label's tokens: equal at every layer in every group."""
    wide = rows.pivot(index="place", columns=["group", "site", "layer"], values=["value", "n"])
    for label in (FIRST, LAST):
        others = wide.drop(index=label, errors="ignore")
        if label in wide.index and any(row.equals(wide.loc[label]) for _, row in others.iterrows()):
            wide = others
    return rows[rows["place"].isin(wide.index)]
