"""Groups of a study's prompts compared, from the study's tables alone. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rewire.probes import agreement, pairings
from rewire.probes.profiles import profiles
from rewire.tables import read_table, write_table

SUMMARY = ("group", "run", "site", "layer", "head", "place", "measure", "value", "low", "high", "n")
NEURONS = ("group", "layer", "neuron", "recovered", "recovered_low", "recovered_high", "n")


def write_comparison(
    summary: str | Path, neurons: str | Path, readings: str | Path, tables: Mapping[str, str | Path]
) -> None:
    """``tables``: where to write ``pairings`` (every two groups) and ``agreement`` (a row a part that leads somewhere).

    ``summary``, ``neurons``, ``readings``: tables of one study. Errors: InputError that names one that lacks a column.
    """
    grid, single, read = (
        read_table(path, columns).select(list(columns)).to_pandas()
        for path, columns in ((summary, SUMMARY), (neurons, NEURONS), (readings, SUMMARY))
    )
    found = list(profiles(grid, single, read))
    write_table(tables["pairings"], list(pairings.pairing_rows(found)), pairings.SCHEMA)
    write_table(tables["agreement"], list(agreement.agreement_rows(found)), agreement.SCHEMA)
