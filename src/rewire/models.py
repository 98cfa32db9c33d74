"""A language model ready for circuit analysis. ``load`` is the way in, from a notebook as from the workflow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from rewire.circuits.graph import Graph
from rewire.errors import InputError
from rewire.pairs import TokenPairs
from rewire.pretrained import (
    bottom_of,
    find_tokenizer,
    fuse_activations,
    load_config,
    load_transformer,
    resolve_adapter,
)
from rewire.residual import ResidualStream, check_against_model


@dataclass
class Model:
    """A model ready for analysis: ``bridge`` (TransformerLens' TransformerBridge) and, where it has one, its tokenizer."""

    bridge: Any
    tokenizer: Any

    @cached_property
    def stream(self) -> ResidualStream:
        """The model as a sum over its residual stream."""
        stream = ResidualStream(self.bridge)
        check_against_model(stream)
        return stream

    @cached_property
    def graph(self) -> Graph:
        """The edges between its components."""
        stream = self.stream
        return Graph(stream.n_layers, stream.n_heads, stream.d_model, stream.parallel)

    @property
    def precision(self) -> torch.dtype:
        """What metrics are measured in: float64 for a float64 model, else float32."""
        return torch.float64 if self.stream.embedding.dtype == torch.float64 else torch.float32

    def check_length(self, length: int) -> None:
        """InputError if ``length`` tokens to read do not fit the context."""
        if length > self.stream.context:
            raise InputError(
                f"examples of {length} tokens do not fit the model's context of {self.stream.context}"
            )

    def check_pairs(self, pairs: TokenPairs) -> None:
        """InputError for pairs that are longer than the context, or hold a token that the model has no embedding for."""
        self.check_length(pairs.clean.shape[1] - 1)  # the last token is a target and is not read
        words = len(self.stream.embedding)
        for name in ("clean", "corrupted", "wrong_token"):
            tokens = getattr(pairs, name)
            if tokens is not None and int(tokens.max()) >= words:
                example = int((tokens >= words).nonzero()[0, 0])
                raise InputError(
                    f"pairs: example {example}: {name} has token {int(tokens[example].max())}, the model has {words}"
                )


def load(source: str | Path, adapter: str | Path | None = None, dtype: Any = None) -> Model:
    """The model at ``source`` (directory or Hub id), an adapter merged into it, frozen, held by a TransformerBridge.

    On the GPU where there is one. A directory with an ``adapter_config.json`` is loaded as an adapter on the base model it names.
    """
    source, adapter = resolve_adapter(source, adapter)
    return held(load_transformer(source, adapter, dtype), find_tokenizer(bottom_of(source)), str(source))


def randomly_initialised(source: str | Path, seed: int = 0) -> Model:
    """A model of the architecture at ``source`` with the random weights that training would start from."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    transformer = AutoModelForCausalLM.from_config(load_config(source), trust_remote_code=False).eval()
    return held(transformer, None, str(source))


def held(transformer: Any, tokenizer: Any, name: str) -> Model:
    """A transformers model, frozen, held by a TransformerBridge."""
    from transformer_lens.model_bridge import TransformerBridge

    fuse_activations(transformer)
    if torch.cuda.is_available():
        transformer = transformer.to("cuda")
    # without one the bridge would look for a tokenizer itself, and fail where there is none
    bridge = TransformerBridge.boot_transformers(
        name, hf_model=transformer, tokenizer=tokenizer or blank_tokenizer()
    )
    for parameter in bridge.parameters():  # after booting: the bridge adds split copies of fused weights
        parameter.requires_grad_(False)
    return Model(bridge, tokenizer)


def blank_tokenizer() -> Any:
    """A tokenizer without words, for a model that comes with none."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    empty = Tokenizer(WordLevel({"<|endoftext|>": 0}, unk_token="<|endoftext|>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=empty, eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
