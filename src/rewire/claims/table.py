"""Published claims beside our numbers; the verdict follows from a rule in the config, never from a person.

Definitions: docs/definitions.md, "Claims". A measure reads the tables of one run (model and dataset).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rewire.claims.bakeoff import Tested, tested_verdict
from rewire.claims.catalogue import MEASURES, TESTS
from rewire.claims.frames import JUDGED, NotRun, Tables
from rewire.errors import InputError
from rewire.statistics import Estimate
from rewire.tables import schema, write_table
from rewire.whole_file import replacing_file

SCHEMA = schema(
    claim="string",
    statement="string",
    source="string",
    published="string",
    model="string",
    dataset="string",
    value="float64",
    low="float64",
    high="float64",
    n="int32",
    unit="string",
    verdict="string",
)


def write_claims(
    runs: Mapping[tuple[str, str], Tables],
    claims: Mapping[str, Mapping[str, Any]],
    parquet: str | Path,
    tsv: str | Path,
    identities: Mapping[str, str] | None = None,
    data_identities: Mapping[str, str] | None = None,
    judged: str | None = None,
) -> None:
    """One row a run and claim, to a parquet and a tab-separated table. ``runs``: (model, dataset) -> tables.

    ``identities``: model -> Hub id, of the models that come from the Hub; ``data_identities``: dataset -> Hub id.
    ``judged``: the variant of sequential fine-tuning whose pairs are judged; without it that of most pairs.
    """
    models, datasets = identities or {}, data_identities or {}
    chosen = {JUDGED: judged} if judged else {}
    rows = [
        judge(name, claim, model, dataset, {**tables, **chosen}, models.get(model), datasets.get(dataset))
        for (model, dataset), tables in runs.items()
        for name, claim in claims.items()
    ]
    write_table(parquet, rows, SCHEMA)
    with replacing_file(tsv) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, SCHEMA.names, dialect="excel-tab", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)


def judge(
    name: str,
    claim: Mapping[str, Any],
    model: str,
    dataset: str,
    tables: Tables,
    identity: str | None = None,
    data_identity: str | None = None,
) -> dict[str, Any]:
    """The row of one claim in one run; ``identity``, ``data_identity``: the Hub ids of model and dataset, if they have any.

    Errors: InputError for a measure that does not exist.
    """
    row: dict[str, Any] = {"claim": name, "model": model, "dataset": dataset}
    row |= {key: claim.get(key) for key in ("statement", "source", "published")}
    if claim["rule"].get("test", "edge_centric") not in TESTS:
        raise InputError(
            f"claims.{name}.rule.test: {claim['rule']['test']!r} is not one of {', '.join(TESTS)}"
        )
    if claim["measure"] not in MEASURES:
        raise InputError(f"claims.{name}.measure: {claim['measure']!r} is not one of {', '.join(MEASURES)}")
    measure, unit = MEASURES[claim["measure"]]
    result = None
    named = (("about", identity), ("datasets", data_identity))
    if all(key not in claim or found in claim[key] for key, found in named):
        with suppress(NotRun):
            result = measure(of_study(tables, claim["study"]) if "study" in claim else tables)
    if result is None:
        return row | {"value": None, "low": None, "high": None, "n": None, "unit": unit, "verdict": "not run"}
    given = {
        key: None if math.isnan(number) else number
        for key, number in (("value", result.value), ("low", result.low), ("high", result.high))
    }
    rule = claim["rule"]
    found = TESTS[rule["test"]](tables) if "test" in rule else verdict(result, rule)
    if isinstance(result, Tested):
        found = tested_verdict(result, rule, found)
    return row | given | {"n": result.n, "unit": unit, "verdict": found}


def of_study(tables: Tables, study: str) -> Tables:
    """The tables of one study of the probes, ``{study}/{table}`` among those of the run, by their own names."""
    return {
        name.removeprefix(f"{study}/"): path for name, path in tables.items() if name.startswith(f"{study}/")
    }


def verdict(result: Estimate, rule: Mapping[str, Any]) -> str:
    """``supported``, ``not supported`` or ``inconclusive`` by where the interval lies; see config/claims.yaml."""
    if math.isnan(result.low) or math.isnan(result.high):
        return "inconclusive"
    floor, ceiling = -math.inf, math.inf
    if "above" in rule:
        floor = math.nextafter(rule["above"], math.inf)
    elif "below" in rule:
        ceiling = math.nextafter(rule["below"], -math.inf)
    else:
        floor, ceiling = rule["between"]
    if floor <= result.low and result.high <= ceiling:
        return "supported"
    if result.high < floor or result.low > ceiling:
        return "not supported"
    return "inconclusive"
