"""Hypothesis strategies that damage a valid file: its bytes, or one item anywhere in its content."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A few bytes changed, inserted, removed, repeated, or the end cut off."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 40))
        middle = draw(
            st.sampled_from(
                [
                    bytes([draw(st.integers(0, 255))]) + content[at + 1 : at + length],
                    b"",
                    content[at : at + length] * 2,
                    draw(st.binary(max_size=8)) + content[at : at + length],
                ]
            )
        )
        content = content[:at] + middle + (content[at + length :] if draw(st.integers(0, 9)) else b"")
    return content


@st.composite
def damaged_content(draw: st.DrawFn, content: Any, values: st.SearchStrategy[Any]) -> Any:
    """One item, at any depth, taken away, renamed, or made one of ``values``."""
    content = copy.deepcopy(content)
    within = content
    while True:
        keys = list(within) if isinstance(within, dict) else list(range(len(within)))
        key = draw(st.sampled_from(keys))
        deeper = isinstance(within[key], (dict, list)) and len(within[key]) > 0
        if not deeper or not draw(st.integers(0, 3)):
            break
        within = within[key]
    how = draw(st.sampled_from(["remove", "rename", "replace", "replace"]))
    if how == "replace":
        within[key] = draw(values)
        return content
    old = within.pop(key)
    if how == "rename" and isinstance(within, dict):
        within[draw(st.sampled_from(["input", "a0.h9", "m0->a0.h0<q>", "score", "", "\ud800"]))] = old
    return content
