"""What the figures of the probes share: names of sites, the summary's rows, tokens as they are shown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from rewire.figures.frames import known
from rewire.figures.style import BLUE, ORANGE

SUMMARY = ("group", "run", "site", "layer", "head", "place", "measure", "value", "low", "high", "n", "q")
ALL = "all"  # the group of all prompts
COMPONENTS = {
    "residual_pre": "residual stream, entering",
    "residual_post": "residual stream, leaving",
    "attention_out": "attention out",
    "mlp_out": "MLP out",
}
HEADS = {
    "z": "output (z)",
    "q": "queries (q)",
    "k": "keys (k)",
    "v": "values (v)",
    "pattern": "attention (pattern)",
}
RUNS = {"clean": BLUE, "corrupted": ORANGE}
SHARE = "share of logit difference recovered"
MARKS = {"Ġ": "␣", "▁": "␣", "Ċ": "⏎"}  # how tokenizers spell a space and a line's end
BLANKS = {" ": "␣", "\n": "⏎", "\t": "⇥"}  # the same in a text


def choose(
    table: pd.DataFrame, site: str, measure: str, group: str | None = ALL, place: str | None = None
) -> pd.DataFrame:
    """Rows of one site, measure and group at one place; None: of every group, of all positions together."""
    rows = table[(table["site"] == site) & (table["measure"] == measure)]
    rows = rows if group is None else rows[rows["group"] == group]
    return rows[rows["place"].isna()] if place is None else rows[rows["place"] == place]


def strongest(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` rows of largest |value|, the largest first."""
    found = known(rows, "value")
    return found.reindex(found["value"].abs().sort_values(ascending=False, kind="stable").index)[:count]


def byte_alphabet() -> dict[str, int]:
    """The characters by which tokenizers of bytes spell them, as GPT-2's: one that prints is itself, others follow 255."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


BYTES = byte_alphabet()


def read_bytes(token: str) -> str:
    """The text, its spaces visible, of a token that is spelled in bytes; what can be no part of UTF-8 in bytes is text already."""
    if token.isascii() or not all(character in BYTES for character in token):
        return token
    spelled = bytes(BYTES[character] for character in token)
    try:  # the rest of a character may come first, and the last one be cut
        codecs.getincrementaldecoder("utf-8")().decode(spelled.lstrip(bytes(range(0x80, 0xC0))))
    except UnicodeDecodeError:
        return token
    return "".join(BLANKS.get(character, character) for character in spelled.decode(errors="replace"))


def shown(token: str) -> str:
    """A token with its space visible, and read as text where it is spelled in bytes; a part of a character is �."""
    token = read_bytes(token)
    for mark, sign in MARKS.items():
        token = token.replace(mark, sign)
    return token


def count_text(rows: pd.DataFrame) -> str:
    """``64 prompts``, the most of ``rows``."""
    return f"{int(rows['n'].max()):,} prompts" if len(rows) else "no prompts"


def row_axis(axes: Axes, labels: Iterable[str]) -> None:
    """A y axis of named rows at 0, 1, ..., the first on top."""
    names = list(labels)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
