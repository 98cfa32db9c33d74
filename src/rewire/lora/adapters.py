"""Train one run of the bake-off: the same data, order and steps for every strategy, only what is trained differs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import set_seed

from rewire.checkpoints.finetuning import SummaryExamples
from rewire.checkpoints.names import checkpoint_name
from rewire.checkpoints.save import save_checkpoint
from rewire.checkpoints.stopping import best_step
from rewire.checkpoints.training import EarlyStopping, Milestones, train, write_training_table
from rewire.checkpoints.unfinished import discard
from rewire.lora.adapter_files import add_adapter, save_adapter
from rewire.lora.cost import cost_row, start_measuring
from rewire.lora.cost_table import write_costs
from rewire.lora.plan import Plan, make_plan
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table, schema, write_table
from rewire.whole_file import replacing_folder

CHANGES = ("criterion", "layer", "head", "value")  # read of the table of criticality
PLAN = schema(
    strategy="string",
    seed="int32",
    learning_rate="float64",
    layers="list<int32>",
    heads="list<string>",
    ranks="list<int32>",  # of `modules`, one by one
    modules="list<string>",
    parameters="int64",  # that are trained
    base_parameters="int64",  # of the base model that are not: 0 where every parameter is trained
    best_step="int64",
    best_loss="float64",  # nats a token, on the validation articles
    steps="int64",  # until it stopped
)


def train_run(
    base: str | Path,
    train_articles: str | Path,
    validation_articles: str | Path,
    criticality: str | Path | None,
    strategy: str,
    seed: int,
    settings: Mapping[str, Any],
    learning_rate: float,
    folder: str | Path,
    work: str | Path,
    language: str = "en",
    cost: str | Path | None = None,
    draw: int = 0,
) -> None:
    """Write ``folder``: a PEFT adapter (or, for ``adapter: false``, a transformers model with its tokenizer),
    ``training.parquet`` and ``plan.parquet``; and the table ``cost``.

    The weights are the best validated ones; those of step 0, the base model's, are never taken, but a run that does
    not get below their loss within ``patience`` validations stops. ``seed`` decides the order of the articles (the
    same for every strategy) and the adapter's start; ``draw`` is the number of a random strategy's draw.
    ``criticality``: None where the strategy does not ask for it. ``settings``: the config's lora section. ``work``: where an interrupted run resumes from; removed when done.
    """
    folder, work = Path(folder), Path(work)
    model, tokenizer = load_transformer(base), load_tokenizer(base)
    changes = None if criticality is None else read_table(criticality, CHANGES)
    plan = make_plan(model, settings, strategy, changes, draw)
    context = context_length(model)
    set_seed(seed)
    if plan.ranks:
        model = add_adapter(model, plan, settings)
    kept = work / "kept"

    def keep(current: Any, step: int) -> None:
        if plan.ranks:
            save_adapter(kept / checkpoint_name(step), current)
        else:
            save_checkpoint(kept / checkpoint_name(step), current, tokenizer)

    recipe = {**settings["training"], "learning_rate": learning_rate}
    timer = start_measuring()
    rows = train(
        model,
        SummaryExamples(train_articles, tokenizer, context, language),
        SummaryExamples(validation_articles, tokenizer, context, language),
        recipe,
        work,
        Milestones(validated=validated_steps(recipe["steps"], settings["validate_every"])),
        keep,
        seed,
        EarlyStopping(settings["patience"], lambda step: drop_before(kept, step)),
        [timer],
    )
    run: dict[str, Any] = {"strategy": strategy, "seed": seed, "learning_rate": learning_rate}
    row = run | plan_columns(plan) | outcome(rows)
    with replacing_folder(folder) as partial:
        shutil.copytree(kept / checkpoint_name(row["best_step"]), partial, dirs_exist_ok=True)
        write_training_table(partial / "training.parquet", rows)
        write_table(partial / "plan.parquet", [row], PLAN)
        if cost is not None:
            write_costs(cost, [cost_row(timer, row["steps"], **run)])
    discard(work)


def validated_steps(steps: int, every: int) -> list[int]:
    """Each ``every``-th step, and the last."""
    return sorted({*range(every, steps + 1, every), steps})


def drop_before(kept: Path, step: int) -> None:
    """Remove what was kept at steps before ``step``."""
    for folder in sorted(kept.iterdir()):
        if not folder.name.startswith(".") and folder.name < checkpoint_name(step):
            shutil.rmtree(folder)


def plan_columns(plan: Plan) -> dict[str, Any]:
    return {
        "layers": plan.layers,
        "heads": [f"a{layer}.h{head}" for layer, head in plan.heads],
        "ranks": list(plan.ranks.values()),
        "modules": list(plan.ranks),
        "parameters": plan.parameters,
        "base_parameters": plan.frozen,
    }


def outcome(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """The best step and its validation loss, and the last step, of a training table's rows."""
    losses = {
        int(row["step"] or 0): float(loss) for row in rows if (loss := row.get("validation_loss")) is not None
    }
    best = best_step(losses)
    assert best is not None  # the last step is always validated
    return {"best_step": best, "best_loss": losses[best], "steps": max(losses)}
