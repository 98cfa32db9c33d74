"""Synthetic tables of a realistic size: 7 checkpoints, 4 layers x 4 heads, 64 examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rewire.tables import schema, write_table

STEPS = {
    "base": 0,
    "step-000010": 10,
    "step-000030": 30,
    "step-000100": 100,
    "step-000300": 300,
    "step-001000": 1000,
    "final": 1500,
}
NAN = float("nan")
CORRUPTIONS = ("mask", "resample", "random", "noise")


class Tables:
    """Writes each table of the workflow under ``folder`` and returns its path."""

    steps = STEPS

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, rows: list[dict], columns: dict[str, str]) -> Path:
        write_table(self.folder / name, rows, schema(**columns))
        return self.folder / name

    def training(self, steps: int = 1500) -> Path:
        noise = np.random.default_rng(0)
        rows: list[dict] = [{"step": 0, "validation_loss": 4.9}]
        for step in range(10, steps + 1, 10):
            loss = 1.9 + 3 * np.exp(-step / 150)
            row = {"step": step, "train_loss": loss + noise.normal(0, 0.06)}
            row["learning_rate"] = 5e-4 * min(step / 100, 1 - step / (steps + 1))
            row["gradient_norm"] = 0.6 + 2 * np.exp(-step / 90) + noise.exponential(0.1)
            if step in STEPS.values():
                row["validation_loss"] = loss + 0.08 + 0.00012 * step
            rows.append(row)
        columns = ("train_loss", "validation_loss", "learning_rate", "gradient_norm")
        return self.write("training.parquet", rows, {"step": "int64"} | dict.fromkeys(columns, "float64"))

    def effects(
        self,
        checkpoints: list[str] | None = None,
        examples: int = 64,
        corruptions: Sequence[str] = CORRUPTIONS,
    ) -> Path:
        noise = np.random.default_rng(1)
        sizes = dict(zip(corruptions, np.geomspace(0.8, 0.02, len(corruptions)), strict=True))
        rows = []
        for number, checkpoint in enumerate(checkpoints or list(STEPS)):
            for corruption, size in sizes.items():
                for i in range(examples):
                    clean = noise.normal(2.2, 0.2)
                    effect = noise.gamma(2, size * (0.1 + number / 12)) + noise.normal(0, 0.04)
                    rows.append(
                        {
                            "checkpoint": checkpoint,
                            "corruption": corruption,
                            "id": f"a{i}",
                            "nll_clean": clean,
                            "nll_corrupted": clean + effect,
                        }
                    )
        texts = dict.fromkeys(("checkpoint", "corruption", "id"), "string")
        return self.write(
            "effects.parquet", rows, texts | dict.fromkeys(("nll_clean", "nll_corrupted"), "float64")
        )

    def agreement(
        self,
        models: Sequence[str] = ("base", "final", "random weights"),
        corruptions: Sequence[str] = CORRUPTIONS,
        shares: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        splits: int = 5,
        resamples: int = 200,
    ) -> Path:
        """The last checkpoint, ``models[-2]`` (or the only one), has the rows of noise and corruption."""
        noise, rows = np.random.default_rng(6), []
        tuned = models[-2] if len(models) > 1 else models[0]

        def compare(model: str, study: str, first: str, second: str, edge: float, node: float) -> None:
            texts = {"model": model, "study": study, "first": first, "second": second}
            numbers = {"examples": 64, "edges": 40, "edge_jaccard": edge, "node_jaccard": node}
            if study in ("noise", "corruption"):
                for kind, value in (("edge", edge), ("node", node)):
                    numbers |= {f"{kind}_low": value - 0.05, f"{kind}_high": value + 0.04}
            if study == "bootstrap":
                for kind, value in (("edge", 0.6), ("node", 0.8)):
                    numbers |= {f"{kind}_mean_low": value - 0.1, f"{kind}_mean_high": value + 0.05}
            rows.append(texts | numbers)

        for i, model in enumerate(models):
            pairs = [(a, b) for a in range(splits) for b in range(a + 1, splits)]
            for study, every in (
                ("split", pairs),
                ("bootstrap", [(a, a + 1) for a in range(0, resamples, 2)]),
            ):
                centre = 12 if study == "bootstrap" else 6
                for a, b in every:
                    edge = noise.beta(centre - 2 * i, 5)
                    compare(model, study, str(a), str(b), edge, edge**0.5)
        for share in shares:
            compare(tuned, "noise", f"{share:g}", "circuit", 0.8 * (1 - share), (1 - share) ** 0.5)
        for i, first in enumerate(corruptions):
            for j, second in enumerate(corruptions):
                compare(tuned, "corruption", first, second, 1 / (1 + abs(i - j)), 1.0)
        texts = dict.fromkeys(("model", "study", "first", "second"), "string")
        kinds = ("edge", "node", "edge_mean", "node_mean")
        ends = [f"{kind}_{end}" for kind in kinds for end in ("low", "high")]
        numbers = dict.fromkeys(("edge_jaccard", "node_jaccard", *ends), "float64")
        return self.write(
            "agreement.parquet", rows, texts | dict.fromkeys(("examples", "edges"), "int32") | numbers
        )

    def inclusion(self, models: Sequence[str] = ("base", "final", "random weights"), kept: int = 40) -> Path:
        """Of each model ``kept`` edges in the circuit, as many outside it."""
        rows = []
        for i, model in enumerate(models):
            for k, share in enumerate(np.linspace(1, 0.01, 2 * kept) ** (i + 1)):
                rows.append({"model": model, "edge": f"e{k}", "inclusion": share, "in_circuit": k < kept})
        columns = {"model": "string", "edge": "string", "inclusion": "float64", "in_circuit": "bool"}
        return self.write("edges.parquet", rows, columns)

    def circuit(self, n_layers: int = 4, n_heads: int = 4, kept: int = 80) -> Path:
        noise = np.random.default_rng(3)
        names = []
        for layer in range(n_layers + 1):
            before = ["input"] + [
                s for k in range(layer) for s in [*(f"a{k}.h{h}" for h in range(n_heads)), f"m{k}"]
            ]
            if layer == n_layers:
                names += [f"{u}->logits" for u in before]
                continue
            heads = [f"a{layer}.h{h}" for h in range(n_heads)]
            names += [f"{u}->{v}<{letter}>" for v in heads for letter in "qkv" for u in before]
            names += [f"{u}->m{layer}" for u in before + heads]
        scores = noise.standard_t(2, len(names)) * 0.01
        limit = np.sort(np.abs(scores))[-kept] if kept else np.inf
        edges = {
            name: {"score": float(s), "in_graph": bool(abs(s) >= limit)}
            for name, s in zip(names, scores, strict=True)
        }
        cfg = {"n_layers": n_layers, "n_heads": n_heads, "parallel_attn_mlp": False, "d_model": 64}
        path = self.folder / f"circuit-{n_layers}x{n_heads}.json"
        path.write_text(json.dumps({"cfg": cfg, "nodes": {}, "edges": edges}))
        return path

    def claims(self, statement: str = "Most heads attend more sharply after fine-tuning.") -> Path:
        long = "The circuit keeps its behaviour: a share of the edges restores most of what the model says."
        lora = "Adapters on circuit-critical layers lose to adapters on all layers at an equal budget."
        names = ("statement", "published", "value", "low", "high", "n", "unit", "verdict")
        examples = [
            (statement, "62 % of 144 heads", 68.75, 55.0, 81.2, 64, "%", "supported"),
            (long, "92.98 base, 89.38 fine-tuned", 71.2, 66.0, 75.9, 64, "%", "not supported"),
            ("Edges change more than nodes.", "edge Jaccard .2848", 0.31, 0.21, 0.42, 7, "", "inconclusive"),
            (lora, "18.77 vs 13.88 ROUGE-1", None, None, None, None, "", "not run"),
            ("One value alone, without an interval", "5", 5.0, None, None, 3, "layer", "supported"),
        ]
        source = "Anonymous et al. 2025, table 3, row of the main model on the main dataset"
        rows = [dict(zip(names, example, strict=True)) for example in examples]
        for number, row in enumerate(rows):
            model, dataset = ("small", "newswire") if row["value"] else ("gpt2", "cnn_dailymail")
            row |= {"claim": f"claim-{number}", "source": source, "model": model, "dataset": dataset}
        columns = dict.fromkeys(("claim", "statement", "source", "published"), "string")
        columns |= dict.fromkeys(("value", "low", "high"), "float64") | {"n": "int64"}
        columns |= dict.fromkeys(("unit", "model", "dataset", "verdict"), "string")
        return self.write("claims.parquet", rows, columns)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


@pytest.fixture
def drawn(tmp_path: Path):
    """Draw twice with ``draw(png, svg)``: both files are there and the same; returns the text of the SVG."""

    def check(draw) -> str:
        files = [[tmp_path / f"{run}.{kind}" for kind in ("png", "svg")] for run in ("one", "two")]
        for png, svg in files:
            draw(png, svg)
        (png, svg), (png_again, svg_again) = files
        assert png.read_bytes().startswith(b"\x89PNG") and svg.read_text().startswith("<?xml")
        assert png.read_bytes() == png_again.read_bytes() and svg.read_bytes() == svg_again.read_bytes()
        assert not list(tmp_path.glob(".*partial"))
        return svg.read_text()

    return check
