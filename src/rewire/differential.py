"""What fine-tuning changed inside a model: hidden states and attention, example by example.

P is the base model, Q the fine-tuned one, both read the same tokens. Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.errors import InputError
from rewire.models import Model, load
from rewire.pairs import TokenPairs, read_pairs
from rewire.progress import bar
from rewire.residual import ResidualStream, Trace
from rewire.tables import schema, write_table

LAYERS = schema(id="string", layer="int32", site="string", cosine_distance="float64")
HEADS = schema(
    id="string",
    layer="int32",
    head="int32",
    entropy_base="float64",
    entropy="float64",
    normalised_entropy_base="float64",
    normalised_entropy="float64",
    attention_kl="float64",
)


def write_differential(
    base: str | Path,
    checkpoint: str | Path,
    pairs: str | Path,
    settings: Mapping[str, Any],
    layers: str | Path,
    heads: str | Path,
) -> None:
    """Compare two model folders on the clean side of ``pairs``; write the per-example tables ``layers`` and ``heads``.

    ``settings``: batch_tokens.
    """
    ids, examples = read_pairs(pairs)
    rows = compare(load(base), load(checkpoint), examples, settings["batch_tokens"])
    write_table(layers, [{"id": ids[row.pop("example")], **row} for row in rows["layers"]], LAYERS)
    write_table(heads, [{"id": ids[row.pop("example")], **row} for row in rows["heads"]], HEADS)


@torch.no_grad()
def compare(
    base: Model, tuned: Model, pairs: TokenPairs, batch_tokens: int = 4096
) -> dict[str, list[dict[str, Any]]]:
    """Rows ``layers`` (example, layer, site, cosine_distance) and ``heads`` (example, layer, head, entropies, KL).

    ``site`` is ``residual`` (before the final norm, layers 0..L) or ``final_norm`` (after it, layer L).
    Errors: InputError if the two models differ in shape, or an activation is not finite (says which).
    """
    p, q = base.stream, tuned.stream
    if (p.n_layers, p.n_heads, p.d_model) != (q.n_layers, q.n_heads, q.d_model):
        raise InputError(
            f"base has {p.n_layers} layers, {p.n_heads} heads, width {p.d_model}; the checkpoint {q.n_layers}, {q.n_heads}, {q.d_model}"
        )
    base.check_length(pairs.clean.shape[1])
    rows: dict[str, list[dict[str, Any]]] = {"layers": [], "heads": []}
    with bar(len(pairs), "differential", "example") as progress:
        for index, batch in pairs.batches(batch_tokens):
            batch = batch.to(p.embedding.device)
            assert batch.lengths is not None
            real = (
                torch.arange(batch.clean.shape[1], device=batch.clean.device) < batch.lengths[:, None]
            )  # [B, T]
            runs = [stream.run(stream.embed(batch.clean), 0, None) for stream in (p, q)]
            rows["layers"] += layer_rows(p, q, runs[0], runs[1], real, index)
            rows["heads"] += head_rows(p, q, runs[0], runs[1], real, index)
            progress.update(len(index))
    for table in rows.values():
        table.sort(key=lambda row: row["example"])
    return rows


def layer_rows(
    p: ResidualStream, q: ResidualStream, base: Trace, tuned: Trace, real: Tensor, index: Tensor
) -> list[dict[str, Any]]:
    """1 - mean over tokens of cos(h_P, h_Q) for each layer and example."""
    assert base.final is not None and tuned.final is not None
    states = [
        (layer, "residual", a, b)
        for layer, (a, b) in enumerate(zip(base.residual, tuned.residual, strict=True))
    ]
    last = p.n_layers
    states.append((last, "residual", base.final, tuned.final))
    states.append((last, "final_norm", p.final_norm(base.final), q.final_norm(tuned.final)))
    rows = []
    for layer, site, a, b in states:
        check_finite(a, b, f"layer {layer} ({site})", index)
        cosine = F.cosine_similarity(a.double(), b.double(), dim=-1)  # [B, T]
        distance = 1 - (cosine * real).sum(dim=1) / real.sum(dim=1)
        rows += [
            {"example": i, "layer": layer, "site": site, "cosine_distance": d}
            for i, d in zip(index.tolist(), distance.tolist(), strict=True)
        ]
    return rows


def check_finite(a: Tensor, b: Tensor, where: str, index: Tensor) -> None:
    """InputError that names the layer and the example of the first activation that is NaN or infinite."""
    for name, x in (("base", a), ("checkpoint", b)):
        bad = ~torch.isfinite(x).flatten(1).all(dim=1).cpu()
        if bad.any():
            raise InputError(f"{name}: activations of {where} are not finite in example {int(index[bad][0])}")


def attention_log_pattern(stream: ResidualStream, qkv: Tensor) -> Tensor:
    """[B, T, 3, H, E] of a run from position 0 -> log attention [B, H, T, T] in float64, -inf above the diagonal."""
    q, k, _ = qkv.double().permute(2, 0, 3, 1, 4).unbind(0)
    scaling = q.shape[-1] ** -0.5 if stream.scaling is None else stream.scaling
    scores = stream.rotate(q, 0) @ stream.rotate(k, 0).transpose(-1, -2) * scaling
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return F.log_softmax(scores.masked_fill(future, float("-inf")), dim=-1)


def attention_entropy(log_pattern: Tensor) -> Tensor:
    """[..., T, T] -> [..., T]: -sum over keys of A log A, nats."""
    return -(log_pattern.exp() * log_pattern.masked_fill(log_pattern == float("-inf"), 0)).sum(dim=-1)


def attention_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """[..., T, T] x 2 -> [..., T]: KL(A_Q || A_P) of every query, nats."""
    difference = (log_q - log_p).masked_fill(log_q == float("-inf"), 0)
    return (log_q.exp() * difference).sum(dim=-1)


def head_rows(
    p: ResidualStream, q: ResidualStream, base: Trace, tuned: Trace, real: Tensor, index: Tensor
) -> list[dict[str, Any]]:
    """Entropy of both models and KL(A_Q || A_P) for each layer, head and example.

    Means over the real queries; entropies leave out the first, which can only attend to itself.
    """
    position = torch.arange(real.shape[1], device=real.device)
    later = real & (position >= 1)
    limit = torch.log(position + 1.0).clamp(min=1e-9)  # entropy of uniform attention at each query

    def mean(values: Tensor, queries: Tensor) -> Tensor:
        return (values * queries[:, None]).sum(dim=-1) / queries.sum(dim=1)[:, None]  # [B, H]

    rows = []
    for layer, (a, b) in enumerate(zip(base.qkv, tuned.qkv, strict=True)):
        log_p, log_q = attention_log_pattern(p, a), attention_log_pattern(q, b)
        columns = {
            "entropy_base": mean(attention_entropy(log_p), later),
            "entropy": mean(attention_entropy(log_q), later),
            "normalised_entropy_base": mean(attention_entropy(log_p) / limit, later),
            "normalised_entropy": mean(attention_entropy(log_q) / limit, later),
            "attention_kl": mean(attention_kl(log_q, log_p), real),
        }
        for row, example in enumerate(index.tolist()):
            for head in range(log_p.shape[1]):
                values = {name: float(column[row, head]) for name, column in columns.items()}
                rows.append({"example": example, "layer": layer, "head": head, **values})
    return rows
