"""Numbers of a config: whole ones become integers where the schema asks for integers, those that are not finite are found.

Plain Python: a config is checked before any environment exists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend


def is_integer(checker: Any, value: Any) -> bool:
    """As Python sees it; to JSON, and so to a schema, 20.0 is one too."""
    return isinstance(value, int) and not isinstance(value, bool)


TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
Strict = extend(Draft202012Validator, type_checker=TYPES)


def make_whole(config: Any, schema: Mapping[str, Any]) -> None:
    """Put 20 in the place of 20.0 wherever a valid ``config`` has it for an integer: the same config, the same digests."""
    wrong = [error for error in Strict(schema).iter_errors(config) if error.validator == "type"]
    for error in wrong:
        *parents, last = error.absolute_path
        place = config
        for key in parents:
            place = place[key]
        place[last] = int(error.instance)


def not_finite(value: Any, key: str = "") -> str | None:
    """The dotted key and the value of the first number that is infinite or not a number; None where there is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{key}: {value}"
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{key}.{name}".removeprefix("."), part) for name, part in value.items()]
    elif isinstance(value, list):
        inner = [(f"{key}[{number}]", part) for number, part in enumerate(value)]
    return next((found for name, part in inner if (found := not_finite(part, name))), None)
