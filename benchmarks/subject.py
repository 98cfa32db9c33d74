"""What is measured on: GPT-2 small's architecture with random weights, random token pairs, and the plain model's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.pairs import TokenPairs

VOCABULARY = 50257
STEPS = 5  # of EAP-IG-inputs


@dataclass(frozen=True)
class Size:
    """A batch of ``examples`` of ``length`` tokens, written 2x128."""

    examples: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Errors: ValueError unless ``text`` is two integers with an x between."""
        examples, length = text.split("x")
        return cls(int(examples), int(length))

    @property
    def tokens(self) -> int:
        return self.examples * self.length

    def __str__(self) -> str:
        return f"{self.examples} × {self.length}"


def save_model(folder: Path) -> Path:
    """Write GPT-2 small (12 layers, 12 heads, width 768, vocabulary 50,257) with seeded random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    return folder


def random_pairs(size: Size, corrupted_from: float, seed: int = 0) -> TokenPairs:
    """Pairs without padding that differ from the share ``corrupted_from`` of the length up to their 20 to 60 targets."""
    targets = max(20, min(60, size.length // 8))
    generator = torch.Generator().manual_seed(seed)
    shape = (size.examples, size.length)
    clean, other = (torch.randint(0, VOCABULARY, shape, generator=generator) for _ in range(2))
    position = torch.arange(size.length)
    differs = (position >= int(corrupted_from * size.length)) & (position < size.length - targets)
    other = torch.where(other == clean, (clean + 1) % VOCABULARY, other)
    return TokenPairs(clean, torch.where(differs, other, clean), target_tokens=targets)


class PlainModel:
    """The Hugging Face model itself (fused attention, frozen parameters) on the same pairs, over all positions."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        self.model = model.to(device).eval()
        self.model.requires_grad_(False)
        self.device = torch.device(device)

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] -> logits [B, T, V]."""
        return self.model(tokens, use_cache=False).logits

    def integrated_gradients(self, pairs: TokenPairs, steps: int) -> None:
        """Both runs without gradients, then ``steps`` forward and backward passes from the metric to the embeddings."""
        pairs = pairs.to(self.device)
        self.forward(pairs.clean)
        self.forward(pairs.corrupted)
        embed = self.model.get_input_embeddings()
        clean, corrupted = embed(pairs.clean), embed(pairs.corrupted)
        targets = pairs.targets()
        for step in range(steps):
            embedding = torch.lerp(corrupted, clean, step / steps).requires_grad_()
            logits = self.model(inputs_embeds=embedding, use_cache=False).logits
            read = logits[targets.example, targets.position].float()
            loss = F.cross_entropy(read, targets.token, reduction="none")
            torch.autograd.grad(targets.mean_per_example(loss).sum(), embedding)
