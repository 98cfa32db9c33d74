"""Whole numbers where a schema asks for integers, and numbers that are none."""

import math
from typing import Any

import pytest

from rewire.config_numbers import make_whole, not_finite

SCHEMA: dict[str, Any] = {
    "$defs": {"count": {"type": "integer", "minimum": 1}},
    "properties": {
        "steps": {"type": "array", "items": {"$ref": "#/$defs/count"}},
        "share": {"type": "number"},
        "either": {"type": ["string", "integer"]},
        "by": {"enum": ["top", "score"]},
        "value": {"type": "number"},
    },
    "allOf": [
        {
            "if": {"properties": {"by": {"const": "top"}}},
            "then": {"properties": {"value": {"$ref": "#/$defs/count"}}},
        }
    ],
    "additionalProperties": {"additionalProperties": {"$ref": "#/$defs/count"}},
}


def test_whole_numbers_become_integers_where_integers_are_asked_for() -> None:
    config = {
        "steps": [1.0, 2, 1e3],
        "share": 1.0,
        "either": 4.0,
        "by": "top",
        "value": 3.0,
        "more": {"a": 7.0},
    }
    make_whole(config, SCHEMA)
    said = {"steps": [1, 2, 1000], "share": 1.0, "either": 4, "by": "top", "value": 3, "more": {"a": 7}}
    assert repr(config) == repr(said)
    score = {"by": "score", "value": 3.0, "either": "4.0"}
    make_whole(score, SCHEMA)
    assert repr(score) == repr({"by": "score", "value": 3.0, "either": "4.0"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"a": {"b": [0.5, math.nan]}}, "a.b[1]: nan"),
        ({"a": [{"b": -math.inf}]}, "a[0].b: -inf"),
        ({"a": [1, True, None, "nan", 1e300, {}], "b": math.pi}, None),
    ],
)
def test_the_first_number_that_is_not_finite_is_named(config: Any, said: str | None) -> None:
    assert not_finite(config) == said
