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


def patched_stream(
    origin: Origin, site: str, layer: int, start: int, single: bool, example: Tensor, neuron: Tensor
) -> Tensor:
    """[R, W, D] at positions from ``start``: the residual stream before block ``layer`` for ``residual_pre``, else after it.

    Of the sites that no other part of the block reads: ``residual_pre``, ``residual_post``, ``mlp_out``, ``neuron``.
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
    x = window(recipient.residual(layer + 1))
    if site == "mlp_out":
        given, had = donor.trace.mlp_out[layer], recipient.trace.mlp_out[layer]
        x[:, changed] += window(given)[:, changed] - window(had)[:, changed]
    else:
        difference = donor.neurons(layer) - recipient.neurons(layer)  # [B, T, N]
        moved = difference[example, start:, neuron][:, changed]  # [R, 1 or W]
        x[:, changed] += moved[..., None] * output_matrix(recipient.stream, layer)[neuron][:, None]
    return x


def attention_change(
    origin: Origin, site: str, layer: int, head: int, start: int, single: bool, example: Tensor
) -> tuple[Tensor, bool]:
    """What the heads of block ``layer`` write, patched less unpatched: [R, w, D], and whether it is at ``start`` alone.

    Of ``attention_out`` (``head`` is not used) and of the sites of one head. w is 1, or all positions from ``start`` on.
    """
    donor, recipient = origin.donor, origin.recipient
    changed = slice(0, 1) if single else slice(None)
    if site == "attention_out":
        given, had = (run.attention_out(layer)[:, start:][example][:, changed] for run in (donor, recipient))
        return given - had, single
    # a key or a value changes what every later position reads
    single = single and site not in ("k", "v")
    z = patched_z(origin, site, layer, head, start, changed, example)
    own = recipient.trace.z[layer][example, start:, head]
    return (z - (own[:, :1] if single else own)) @ recipient.stream.weight_o[layer][head], single


def patched_z(
    origin: Origin, site: str, layer: int, head: int, start: int, changed: slice, example: Tensor
) -> Tensor:
    """One head's output with its ``site`` patched, [R, w, E] at the positions of the window that this changes."""
    donor, recipient = origin.donor, origin.recipient
    if site == "z":
        return donor.trace.z[layer][example, start:, head][:, changed]
    keys, values = (kept[example, head] for kept in recipient.keys_values[layer])  # [R, T, E]
    if site == "pattern":
        return donor.pattern(layer)[example, head, start:][:, changed] @ values
    own = recipient.trace.qkv[layer][example, start:, :, head]  # [R, W, 3, E]
    letter = LETTERS[site]
    own[:, changed, letter] = donor.trace.qkv[layer][example, start:, letter, head][:, changed]
    past = (keys[:, None, :start], values[:, None, :start])
    z, _ = recipient.stream.attend(own[:, :, :, None], start, past)
    return z[:, changed, 0] if site == "q" else z[:, :, 0]


def after_attention(
    recipient: Run, layer: int, start: int, single: bool, example: Tensor, change: Tensor
) -> Tensor:
    """[R, W, D] after block ``layer`` when what its heads write changes by ``change`` [R, w, D]; see ``attention_change``."""
    stream, trace = recipient.stream, recipient.trace
    changed = slice(0, 1) if single else slice(None)
    x = recipient.residual(layer + 1)[:, start:][example]
    if stream.parallel:
        x[:, changed] += change
        return x
    middle = trace.mlp_in[layer][:, start:][example][:, changed] + change
    x[:, changed] = middle + stream.mlp(layer, middle)
    return x
