"""Train one LoRA adapter: the same data, order and steps for every strategy, only the modules and the rank differ."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from transformers import set_seed

from rewire.checkpoints.finetuning import summary_examples
from rewire.checkpoints.save import replace_folder
from rewire.checkpoints.training import train, write_training_table
from rewire.lora.strategies import adapter_sizes, choose_layers, plan
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table, schema, write_table

PLAN = schema(
    strategy="string",
    seed="int32",
    layers="list<int32>",
    rank="int32",
    parameters="int64",
    base_parameters="int64",
)


def train_adapter(
    base: str | Path,
    train_articles: str | Path,
    validation_articles: str | Path,
    criticality: str | Path,
    strategy: str,
    seed: int,
    settings: Mapping[str, Any],
    folder: str | Path,
    work: str | Path,
    language: str = "en",
) -> None:
    """Write ``folder``: a PEFT adapter, ``training.parquet`` and ``plan.parquet`` (layers, rank, parameters).

    ``settings``: the config's lora section. ``work``: where an interrupted run resumes from; removed when done.
    """
    folder, work = Path(folder), Path(work)
    model, tokenizer = load_transformer(base), load_tokenizer(base)
    sizes = adapter_sizes(model, settings["target_modules"])
    n_layers = 1 + max(layer for layer, _ in sizes.values())
    choice = settings["strategies"][strategy]["layers"]
    layers = choose_layers(choice, n_layers, settings["critical_layers"], read_table(criticality), seed)
    chosen = plan(sizes, layers, settings["rank"])
    set_seed(seed)
    adapted = get_peft_model(
        model,
        LoraConfig(
            r=chosen.rank,
            lora_alpha=chosen.rank * settings["alpha_per_rank"],
            lora_dropout=settings["dropout"],
            target_modules=chosen.modules,
            fan_in_fan_out=is_conv1d(model, chosen.modules[0]),
            task_type="CAUSAL_LM",
        ),
    )
    context = context_length(model)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    rows = train(
        adapted,
        summary_examples(train_articles, tokenizer, context, language),
        summary_examples(validation_articles, tokenizer, context, language),
        settings["training"],
        work,
        milestones=range(
            settings["validate_every"], settings["training"]["steps"] + 1, settings["validate_every"]
        ),
        keep=lambda *_: None,
        seed=seed,
    )
    adapted.save_pretrained(str(partial))
    tidy(partial / "adapter_config.json")
    write_training_table(partial / "training.parquet", rows)
    row = {"strategy": strategy, "seed": seed, "layers": chosen.layers, "rank": chosen.rank}
    counts = {
        "parameters": chosen.parameters,
        "base_parameters": sum(p.numel() for p in model.parameters()) - chosen.parameters,
    }
    write_table(partial / "plan.parquet", [{**row, **counts}], PLAN)
    replace_folder(partial, folder)
    shutil.rmtree(work)


def is_conv1d(model: Any, module: str) -> bool:
    """Whether a module keeps its weight as [in, out], as GPT-2 does."""
    return type(model.get_submodule(module)).__name__ == "Conv1D"


def tidy(config: Path) -> None:
    """Same bytes for the same adapter: peft writes sets in no fixed order."""
    content = json.loads(config.read_text())
    content["target_modules"] = sorted(content["target_modules"])
    config.write_text(json.dumps(content, indent=2, sort_keys=True))
