"""Runs that are not finite: which example's, and where in the model it starts. Worked out once something is found broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from rewire.circuits.runs import PairRuns
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.residual import ResidualStream


def check_whole_model(model: Model, pairs: TokenPairs, index: Tensor, runs: PairRuns) -> None:
    """InputError if the NLL of a clean or corrupted run is not finite; ``runs``: of the ``pairs`` at ``index`` [B]."""
    for side, logits in (("clean", runs.references.clean), ("corrupted", runs.references.corrupted)):
        # a third of the NLL's work: NaN or infinite wherever it is
        size = logits.amax(dim=-1).float() + logits.gather(1, runs.targets.token[:, None]).squeeze(1)
        bad = index[~torch.isfinite(runs.targets.mean_per_example(size)).cpu()].tolist()
        if bad:
            refuse_broken_runs(model, pairs, bad)
            raise InputError(f"example {bad[0]}: the NLL of its {side} run is not finite")


def check_scores(
    model: Model,
    pairs: TokenPairs,
    index: Tensor,
    scores: Tensor,
    change: Tensor,
    suspects: Iterable[int] = (),
) -> None:
    """InputError if scores [B, ...] or the metric's change [B] of the ``pairs`` at ``index`` [B] are not finite.

    ``suspects``: other examples that these depend on.
    """
    low, high = scores.flatten(1).aminmax(dim=1)  # NaN if one is
    bad = index[~torch.isfinite(torch.stack([low, high, change])).all(dim=0).cpu()].tolist()
    if bad:
        refuse_broken_runs(model, pairs, [*bad, *suspects])
        raise InputError(f"example {bad[0]}: its scores are not finite")


@torch.no_grad()
def refuse_broken_runs(model: Model, pairs: TokenPairs, examples: Iterable[int]) -> None:
    """InputError for the first of ``examples`` with a run that is not finite: which run, and where that starts."""
    for example in examples:
        pair = pairs.subset(torch.tensor([example])).to(model.stream.embedding.device)
        read = pair.targets().position
        for side, tokens in (("clean", pair.clean), ("corrupted", pair.corrupted)):
            for site, value in sites(model.stream, tokens[:, :-1], read):
                if not torch.isfinite(value).all():
                    raise InputError(f"example {example}: its {side} run is not finite from {site} on")


def sites(stream: ResidualStream, tokens: Tensor, read: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What a run on ``tokens`` [1, T] computes, in order, with a name; logits at the positions ``read`` [n]."""
    trace = stream.run(stream.embed(tokens), 0, None)
    for layer in range(stream.n_layers):
        yield f"layer {layer} (residual)", trace.residual[layer]
        for head in range(stream.n_heads):
            qkv, z = trace.qkv[layer][:, :, :, head], trace.z[layer][:, :, head, None]  # [1, T, 3 or 1, E]
            yield f"layer {layer} (head {head})", torch.cat([qkv, z], dim=2)
        yield f"layer {layer} (attention_out)", stream.attention_out(layer, trace.z[layer])
        yield f"layer {layer} (mlp_out)", trace.mlp_out[layer]
    assert trace.final is not None
    yield f"layer {stream.n_layers} (residual)", trace.final
    yield "the final norm", stream.final_norm(trace.final)
    yield "the logits", stream.logits(trace.final[:, read])
