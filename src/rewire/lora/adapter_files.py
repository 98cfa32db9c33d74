"""A LoRA adapter as peft makes and writes it: put on a model by a plan, saved with the same bytes for the same weights."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model

from rewire.lora.heads import keep_others_zero
from rewire.lora.plan import Plan
from rewire.whole_file import replacing_folder


def add_adapter(model: Any, plan: Plan, settings: Mapping[str, Any]) -> Any:
    """``model`` with an adapter of the plan's ranks, each scaled by the same ``settings["alpha_per_rank"]``."""
    adapted = get_peft_model(model, lora_config(model, plan, settings))
    keep_others_zero(adapted, plan.live)
    return adapted


def lora_config(model: Any, plan: Plan, settings: Mapping[str, Any]) -> LoraConfig:
    """The plan in peft's words; ``settings``: alpha_per_rank, dropout."""
    alpha = settings["alpha_per_rank"]
    (usual, _), *_ = Counter(plan.ranks.values()).most_common(1)
    others = {name: rank for name, rank in plan.ranks.items() if rank != usual}
    modules = list(plan.ranks)
    return LoraConfig(
        r=usual,
        lora_alpha=usual * alpha,
        rank_pattern=others,
        alpha_pattern={name: rank * alpha for name, rank in others.items()},
        lora_dropout=settings["dropout"],
        target_modules=modules,
        fan_in_fan_out=is_conv1d(model, modules[0]),
        task_type="CAUSAL_LM",
    )


def save_adapter(folder: Path, adapted: Any) -> None:
    """Write a PEFT model's adapter (``default``, where it has several) to ``folder``, whole or not at all, readable like any
    other file."""
    mask = os.umask(0)  # there is no way to read it alone
    os.umask(mask)
    with replacing_folder(folder) as partial:
        adapted.save_pretrained(str(partial), selected_adapters=["default"])
        tidy(partial / "adapter_config.json")
        (partial / "adapter_model.safetensors").chmod(0o644 & ~mask)  # peft leaves it to its owner alone


def is_conv1d(model: Any, module: str) -> bool:
    """Whether a module keeps its weight as [in, out], as GPT-2 does."""
    return type(model.get_submodule(module)).__name__ == "Conv1D"


def tidy(config: Path) -> None:
    """Same bytes for the same adapter: peft writes sets in no fixed order."""
    content = json.loads(config.read_text())
    content["target_modules"] = sorted(content["target_modules"])
    config.write_text(json.dumps(content, indent=2, sort_keys=True))
