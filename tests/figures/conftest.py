"""Synthetic tables of a realistic size: 7 checkpoints, 4 layers x 4 heads, 64 examples."""

from __future__ import annotations

import json
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

    def effects(self, checkpoints: list[str] | None = None, examples: int = 64) -> Path:
        noise = np.random.default_rng(1)
        corruptions = {"mask-salient": 0.8, "mask-random": 0.15, "swap-names": 0.5, "noise": 0.02}
        rows = []
        for number, checkpoint in enumerate(checkpoints or list(STEPS)):
            for corruption, size in corruptions.items():
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

    def layers(self, checkpoint: str = "final", n_layers: int = 4, examples: int = 64) -> Path:
        noise = np.random.default_rng(STEPS[checkpoint])
        size = 0.3 * STEPS[checkpoint] / (STEPS[checkpoint] + 200)
        rows = []
        for i in range(examples):
            for layer in range(n_layers + 1):
                distance = size * (0.05 + layer / n_layers) * noise.lognormal(0, 0.25)
                rows.append({"id": f"a{i}", "layer": layer, "site": "residual", "cosine_distance": distance})
            rows.append(
                {"id": f"a{i}", "layer": n_layers, "site": "final_norm", "cosine_distance": 1.4 * distance}
            )
        columns = {"id": "string", "layer": "int32", "site": "string", "cosine_distance": "float64"}
        return self.write(f"{checkpoint}-layers.parquet", rows, columns)

    def heads(self, checkpoint: str = "final", shape: tuple[int, int] = (4, 4), examples: int = 64) -> Path:
        noise = np.random.default_rng(STEPS[checkpoint])
        size = STEPS[checkpoint] / (STEPS[checkpoint] + 200)
        centre = np.random.default_rng(5).normal(-0.15, 0.4, shape)
        rows = []
        for i in range(examples):
            for layer, head in np.ndindex(*shape):
                base = noise.normal(2.5, 0.2)
                rows.append(
                    {
                        "id": f"a{i}",
                        "layer": layer,
                        "head": head,
                        "entropy_base": base,
                        "entropy": base + size * (centre[layer, head] + noise.normal(0, 0.3)),
                        "attention_kl": size
                        * (0.05 + abs(centre[layer, head]) ** 1.5)
                        * noise.lognormal(0, 0.3),
                    }
                )
        numbers = dict.fromkeys(("entropy_base", "entropy", "attention_kl"), "float64")
        return self.write(
            f"{checkpoint}-heads.parquet",
            rows,
            {"id": "string", "layer": "int32", "head": "int32"} | numbers,
        )

    def faithfulness(self, checkpoint: str = "final", draws: int = 20, wild: bool = False) -> Path:
        noise = np.random.default_rng(STEPS[checkpoint])
        late = STEPS[checkpoint] / (STEPS[checkpoint] + 200)
        rows = []
        for fraction in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
            x = np.log10(fraction) + 3
            own = 1.0 if fraction == 1 else 1 / (1 + np.exp(-3 * (x - 1.6 + late)))
            own = 2.4 if wild and fraction == 0.05 else own
            kl = 0.0 if fraction == 1 else 0.8 * (1.02 - min(own, 1))
            ours = {
                "circuit": "circuit",
                "draw": 0,
                "fraction": fraction,
                "normalised": own,
                "normalised_low": own - 0.08 * (fraction < 1),
                "normalised_high": own + 0.08 * (fraction < 1),
                "kl": kl,
            }
            rows.append(ours)
            for draw in range(draws):
                chance = 1.0 if fraction == 1 else (x / 3) ** 3 + noise.normal(0, 0.05)
                random = {
                    "circuit": "random",
                    "draw": draw,
                    "fraction": fraction,
                    "normalised": chance,
                    "kl": 0.0 if fraction == 1 else max(0.02, 0.9 - 0.8 * chance + noise.normal(0, 0.03)),
                }
                rows.append(random)
        numbers = ("fraction", "normalised", "normalised_low", "normalised_high", "kl")
        columns = {"circuit": "string", "draw": "int32"} | dict.fromkeys(numbers, "float64")
        return self.write(f"{checkpoint}-faithfulness.parquet", rows, columns)

    def evolution(self) -> Path:
        names, rows = list(STEPS), []
        for i, name in enumerate(names[1:], start=1):
            for reference in ("previous", "base"):
                edge = (
                    0.95 - 0.5 * np.exp(-((i - 3) ** 2) / 3)
                    if reference == "previous"
                    else 0.25 + 0.7 * np.exp(-i / 2)
                )
                rows.append(
                    {
                        "checkpoint": name,
                        "step": STEPS[name],
                        "reference": reference,
                        "edges": 80 + i,
                        "edge_jaccard": edge,
                        "node_jaccard": min(1, edge + 0.2),
                        "edges_born": int(60 * (1 - edge)) + 1,
                        "edges_lost": int(60 * (1 - edge)),
                    }
                )
        columns = {"checkpoint": "string", "step": "int64", "reference": "string", "edges": "int32"}
        columns |= dict.fromkeys(("edge_jaccard", "node_jaccard"), "float64")
        return self.write(
            "evolution.parquet", rows, columns | dict.fromkeys(("edges_born", "edges_lost"), "int32")
        )

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

    def bakeoff(self) -> Path:
        noise = np.random.default_rng(4)
        strategies = {
            "base": 0.0,
            "full": 1.15,
            "standard": 1.0,
            "targeted": 0.93,
            "circuit": 0.96,
            "random": 0.9,
            "inverse": 0.8,
            "last-k": 0.85,
        }
        scales = {"rouge1": 38, "rouge2": 17, "rougeL": 31, "rougeLsum": 33, "facts": 62}
        rows = []
        for strategy, skill in strategies.items():
            for measure, scale in scales.items():
                value = scale * (0.35 + 0.65 * skill) + noise.normal(0, 0.4)
                row = {
                    "strategy": strategy,
                    "measure": measure,
                    "mean": value,
                    "low": value - 1.2,
                    "high": value + 1.2,
                    "articles": 64,
                    "seeds": 3,
                }
                if strategy not in ("base", "full"):
                    row |= {"parameters": 24_576 + int(90 * skill), "parameter_share": 1.86}
                if strategy != "standard":
                    far = value - scale
                    row |= {
                        "against_standard": far,
                        "against_standard_low": far - 0.7,
                        "against_standard_high": far + 0.7,
                    }
                rows.append(row)
        columns = {"strategy": "string", "measure": "string", "mean": "float64", "low": "float64"}
        columns |= {"high": "float64", "articles": "int32", "seeds": "int32", "parameters": "int64"}
        differences = ("against_standard", "against_standard_low", "against_standard_high")
        return self.write(
            "bakeoff.parquet",
            rows,
            columns | {"parameter_share": "float64"} | dict.fromkeys(differences, "float64"),
        )

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
