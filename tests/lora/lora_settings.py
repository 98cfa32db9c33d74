"""A lora section, its inputs and a run of a second, for the tests of runs and of tuning."""

from pathlib import Path
from typing import Any

from tiny_models import articles_table, newswire_rows, training_settings

from rewire.lora.adapters import train_run
from rewire.lora.criticality import SCHEMA as CRITICALITY
from rewire.tables import write_table


def recipe(**changes: Any) -> dict[str, Any]:
    settings = training_settings(**changes)
    for elsewhere in ("seed", "learning_rate"):
        settings.pop(elsewhere)
    return settings


def lora(**changes: Any) -> dict[str, Any]:
    """The config's lora section."""
    return {
        "strategies": {
            "standard": {"layers": "all"},
            "circuit": {"layers": "circuit"},
            "random": {"layers": "random"},
            "inverse": {"layers": "circuit", "least": True},
            "circuit-rank": {"layers": "all", "higher": "circuit", "ratio": 3},
            "circuit-heads": {"heads": "circuit", "rank": 36},  # one head is too small for the budget
            "unmatched": {"layers": "last", "rank": 3},
            "stated": {"layers": [1], "modules": ["mlp.c_fc", "mlp.c_proj"]},
            "full": {"adapter": False},
        },
        "critical_layers": 1,
        "critical_heads": 1,
        "rank": 5,
        "alpha_per_rank": 2,
        "dropout": 0.1,
        "target_modules": ["attn.c_attn", "mlp.c_fc"],
        "learning_rates": [1e-3, 1e-2],
        "validate_every": 2,
        "patience": 9,
        "training": recipe(),
    } | changes


def inputs(folder: Path) -> Path:
    """Articles and a criticality table: the second layer, and its first head, are the most critical."""
    articles_table(folder / "train.parquet", newswire_rows(10))
    articles_table(folder / "validation.parquet", newswire_rows(4, "validation"))
    rows = [{"criterion": "circuit", "layer": layer, "value": float(layer)} for layer in range(2)]
    rows += [
        {"criterion": "circuit", "layer": layer, "head": head, "value": layer - 0.1 * head}
        for layer in range(2)
        for head in range(2)
    ]
    write_table(folder / "criticality.parquet", rows, CRITICALITY)
    return folder


def files(data: Path) -> tuple[Path, Path, Path]:
    return data / "train.parquet", data / "validation.parquet", data / "criticality.parquet"


def run(
    base: Path,
    data: Path,
    out: Path,
    strategy: str = "circuit",
    seed: int = 0,
    learning_rate: float = 1e-2,
    **changes: Any,
) -> Path:
    """The folder of a run."""
    where = (out / "adapter", out / "work")
    train_run(
        base, *files(data), strategy, seed, lora(**changes), learning_rate, *where, cost=out / "cost.tsv"
    )
    return out / "adapter"
