"""What a patch does to the residual stream that enters the next block, at the positions from the patched one on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rewire.probes.runs import Run, output_matrix

LETTERS = {"q": 0, "k": 1, "v": 2}


@dataclass(frozen=True)
class Origin:
    """``donor``: the run that activations are taken from; ``recipient``: the run that they are put into."""

    donor: Run
    recipient: Run


def patched_input(
    origin: Origin,
    site: str,
    layer: int,
    head: int,
    start: int,
    single: bool,
    example: Tensor,
    neuron: Tensor,
) -> Tensor:
    """[R, W, D] at positions from ``start``: the residual stream before block ``layer`` for ``residual_pre``, else after it.

    ``example``: int64 [R], rows of the batch; ``neuron``: int64 [R]. ``single``: position ``start`` alone is patched,
    else all from it on.
    """
    donor, recipient = origin.donor, origin.recipient
    changed = slice(0, 1) if single else slice(None)

    def window(value: Tensor) -> Tensor:
        return value[:, start:][example]

    if site in ("residual_pre", "residual_post"):
        at = layer + (site == "residual_post")
        x = window(recipient.residual(at))
        x[:, changed] = window(donor.residual(at))[:, changed]
        return x
    if site in ("mlp_out", "neuron"):
        x = window(recipient.residual(layer + 1))
        if site == "mlp_out":
            given, had = donor.trace.mlp_out[layer], recipient.trace.mlp_out[layer]
            x[:, changed] += window(given)[:, changed] - window(had)[:, changed]
        else:
            difference = donor.neurons(layer) - recipient.neurons(layer)  # [B, T, N]
            moved = difference[example, start:, neuron][:, changed]  # [R, 1 or W]
            x[:, changed] += moved[..., None] * output_matrix(recipient.stream, layer)[neuron][:, None]
        return x
    if site == "attention_out":
        change = (window(donor.attention_out(layer)) - window(recipient.attention_out(layer)))[:, changed]
    else:
        z, changed = patched_z(origin, site, layer, head, start, changed, example)
        had = recipient.trace.z[layer][example, start:, head][:, changed]
        change = (z - had) @ recipient.stream.weight_o[layer][head]
    return after_attention(recipient, layer, start, changed, example, change)


def patched_z(
    origin: Origin, site: str, layer: int, head: int, start: int, changed: slice, example: Tensor
) -> tuple[Tensor, slice]:
    """One head's output [R, w, E] with its ``site`` patched, and the positions of the window that this changes."""
    donor, recipient = origin.donor, origin.recipient
    if site == "z":
        return donor.trace.z[layer][example, start:, head][:, changed], changed
    keys, values = (kept[example, head] for kept in recipient.keys_values[layer])  # [R, T, E]
    if site == "pattern":
        return donor.pattern(layer)[example, head, start:][:, changed] @ values, changed
    own = recipient.trace.qkv[layer][example, start:, :, head]  # [R, W, 3, E]
    letter = LETTERS[site]
    own[:, changed, letter] = donor.trace.qkv[layer][example, start:, letter, head][:, changed]
    past = (keys[:, None, :start], values[:, None, :start])
    z, _ = recipient.stream.attend(own[:, :, :, None], start, past)
    # a key or a value changes what every later position reads
    moved = changed if site == "q" else slice(None)
    return z[:, moved, 0], moved


def after_attention(
    recipient: Run, layer: int, start: int, changed: slice, example: Tensor, change: Tensor
) -> Tensor:
    """[R, W, D] after block ``layer`` when what its heads write changes by ``change`` [R, w, D] at ``changed`` positions."""
    stream, trace = recipient.stream, recipient.trace
    x = recipient.residual(layer + 1)[:, start:][example]
    if stream.parallel:
        x[:, changed] += change
        return x
    middle = trace.mlp_in[layer][:, start:][example][:, changed] + change
    x[:, changed] = middle + stream.mlp(layer, middle)
    return x
