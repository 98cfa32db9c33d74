"""A tiny world of sequential fine-tuning: a base from nothing, two tasks, and every run of a section, trained and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewire.sequential.declared import Run, runs
from rewire.sequential.stage import Measured, measure_run, measure_second_stage
from rewire.sequential.tables import EVOLUTION
from rewire.sequential.tasks.table import write_task
from rewire.sequential.training import kept_steps, train_stage

SPLITS = ("train", "validation", "test")
ROWS = {"train": 40, "validation": 10, "test": 10}
NUMBERS = {"largest": 9}
ENTRY = {
    "source": "scratch",
    "architecture": {
        "model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 16, "n_positions": 12,
        "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0,
    },
    "tokenizer": {"words": "tasks"},
    "pretraining": {
        "steps": 4, "batch_size": 16, "learning_rate": 1e-2, "schedule": "linear", "warmup": 1, "weight_decay": 0,
        "beta2": 0.99, "log_every": 2, "resume_every": 10, "seed": 0,
    },
}  # fmt: skip


def section(**changes: Any) -> dict[str, Any]:
    """A section ``sequential`` as the schema leaves it."""
    return {
        "models": ["tiny"],
        "tasks": ["add", "max"],
        "alone": [],
        "base": {"tasks": ["average"], "prompts": 5},
        "numbers": NUMBERS,
        "rows": ROWS,
        "seed": 0,
        "pairs": "all",
        "variants": {"kept": {"adapters": "continued", "rate": 1}},
        "judged": None,
        "multi": [],
        "steps": [2],
        "full": False,
        "adapter": {
            "rank": 2, "alpha_per_rank": 2, "dropout": 0,
            "target_modules": ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
        },
        "training": {
            "steps": 4, "batch_size": 8, "learning_rate": 1e-2, "schedule": "constant", "warmup": 0, "weight_decay": 0,
            "beta2": 0.999, "log_every": 2, "resume_every": 2, "seed": 0,
        },
        "circuits": {"method": "EAP-IG-inputs", "steps": 2, "grid": "left", "metric": "nll", "batch_tokens": 512},
        "fraction": 0.06,
        "examples": 8,
        "random": 20,
        "resamples": 50,
        "alpha": 0.05,
        "controls": {"same_model": 5, "rewired": 5},
        "learned": 0.0,
    } | changes  # fmt: skip


class World:
    """Files of one section's runs below ``folder``, made when they are asked for."""

    def __init__(self, folder: Path, base: Path, settings: dict[str, Any]) -> None:
        self.folder, self.base, self.settings = folder, base, settings
        self.runs = runs(settings)

    def tables(self, task: str) -> dict[str, Path]:
        paths = {split: self.folder / "tasks" / task / f"{split}.parquet" for split in SPLITS}
        if not paths["test"].exists():
            write_task(task, self.base, ROWS, 0, paths, NUMBERS)
        return paths

    def trained(self, name: str) -> Path:
        """The folder of a run's checkpoints."""
        run, folder = self.runs[name], self.folder / name / "checkpoints"
        if not folder.exists():
            variant = self.settings["variants"].get(run.variant or "")
            circuit = None
            if variant and "circuit" in variant:
                circuit = self.single(run.tasks[0]).scores(run.tasks[0])
            train_stage(
                self.start(run),
                [self.tables(task)["train"] for task in run.trained],
                [self.tables(task)["validation"] for task in run.trained],
                self.settings,
                folder,
                folder.parent / "training.parquet",
                folder.parent / ".training",
                variant,
                circuit,
            )
        return folder

    def start(self, run: Run) -> Path:
        if run.second is None:
            return self.base
        return self.trained(run.tasks[0]) / f"step-{self.settings['training']['steps']:06d}"

    def outputs(self, name: str) -> dict[str, Path]:
        tables = ("measures", *EVOLUTION, "cross", "overlaps")
        files = {key: self.folder / name / f"{key}.parquet" for key in tables}
        return files | {"circuits": self.folder / name / "circuits"}

    def measured(self, name: str) -> dict[str, Path]:
        """The tables and circuits of a run."""
        run, files = self.runs[name], self.outputs(name)
        if not files["measures"].exists():
            tasks = {
                task: [self.tables(task)[split] for split in ("validation", "test")] for task in run.tasks
            }
            place = run, self.start(run), self.trained(name), kept_steps(self.settings), tasks
            if run.second is None:
                together = {task: self.single(task, 0) for task in run.tasks if len(run.tasks) > 1}
                measure_run(*place, self.settings, files, together)
            else:
                first, second = run.tasks
                alone = self.single(second).scores(second)
                measure_second_stage(*place, self.single(first), alone, self.settings, files)
        return files

    def single(self, task: str, step: int | None = None) -> Measured:
        """A task's single run at its last step, or another one."""
        files = self.measured(task)
        last = self.settings["training"]["steps"]
        return Measured(files["measures"], files["circuits"], last if step is None else step)
