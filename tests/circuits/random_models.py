"""Small random models of every architecture that the engine reads, and pairs for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rewire.pairs import TokenPairs

SPECIAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SHAPE = SPECIAL | {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 16,
    "intermediate_size": 24,
    "vocab_size": 50,
    "max_position_embeddings": 16,
}
GROUPED = SHAPE | {"num_key_value_heads": 2}
ARCHITECTURES = {
    "gpt2": SPECIAL | {"n_layer": 3, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": 50},
    "gpt_neox": SHAPE,
    "llama": GROUPED,
    "qwen2": GROUPED,
}
EVERY_ARCHITECTURE = ARCHITECTURES | {
    "mistral": GROUPED | {"sliding_window": None}
}  # of which the circuits are as Llama's


def save_random_model(folder: Path, kind: str) -> Path:
    """Random weights, gains and biases away from 1 and 0."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **EVERY_ARCHITECTURE[kind]))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def random_adapter(base: Path, folder: Path, **options: Any) -> Path:
    """LoRA on every linear map of a model's blocks, A and B (and what ``options`` train beside them) random."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base)
    transposed = model.config.model_type == "gpt2"  # its linear maps are Conv1D, [in, out]
    config = LoraConfig(
        r=2,
        lora_alpha=4,
        target_modules="all-linear",
        fan_in_fan_out=transposed,
        task_type="CAUSAL_LM",
        **options,
    )
    adapted = get_peft_model(model, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(folder))
    return folder


def random_pairs() -> TokenPairs:
    """Three examples of up to 9 tokens that differ in the middle, two target tokens each."""
    generator = torch.Generator().manual_seed(3)
    clean = torch.randint(0, 50, (3, 9), generator=generator)
    corrupted = clean.clone()
    corrupted[:, 3:6] = torch.randint(0, 50, (3, 3), generator=generator)
    return TokenPairs(clean, corrupted, torch.tensor([9, 8, 9]), 2)
