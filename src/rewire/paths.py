"""Where a path or Hub id of the config leads: variables and ``~`` filled in, adapters followed to the model they are on.

Plain Python: a config is checked before any environment exists.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from rewire.errors import InputError

VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def expand(source: str | Path) -> str:
    """``source`` with environment variables and ``~`` filled in. Errors: InputError for a variable that is not set."""
    for plain, braced in VARIABLE.findall(str(source)):
        if plain + braced not in os.environ:
            raise InputError(f"{source}: the environment variable {plain + braced} is not set")
    filled = os.path.expandvars(str(source))
    if not filled.startswith("~"):
        return filled
    try:
        return str(Path(filled).expanduser())
    except RuntimeError as error:
        raise InputError(f"{source}: the home folder that ~ stands for is not known") from error


def read_json(path: str | Path) -> dict[str, Any]:
    """The mapping in a JSON file; nothing where there is none, or none that can be read: the job itself says so."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def find_file(source: str, name: str) -> Path | None:
    """A file of a local folder or, from the local cache, of a Hub id; None where there is none."""
    if Path(source).is_dir():
        return Path(source, name) if Path(source, name).is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(source, name)
    except HFValidationError:  # a path, not a Hub id
        return None
    return Path(found) if isinstance(found, str) else None


def content_of(source: str, name: str) -> dict[str, Any]:
    """What is in a JSON file of a local folder or of a Hub id in the cache; nothing where there is none."""
    file = find_file(source, name)
    return read_json(file) if file else {}


def adapter_chain(source: str | Path) -> list[str]:
    """``source`` and, of an adapter, what it is on, and so on down to a model: local folders and Hub ids.

    It ends early where an adapter leads back or to a variable that is not set: the job itself says so.
    """
    found = [expand(source)]
    for place in found:  # grows on the way
        named = content_of(place, "adapter_config.json").get("base_model_name_or_path")
        try:
            below = expand(named) if isinstance(named, str) and named else place
        except InputError:
            break
        if below not in found:
            found.append(below)
    return found


def is_whole_model(folder: str | Path) -> bool:
    """Whether a folder holds a model of its own, and no adapter of another."""
    return Path(folder, "config.json").is_file() and not Path(folder, "adapter_config.json").is_file()


def model_config(source: str | Path, adapter: str | Path | None = None) -> dict[str, Any]:
    """The config.json of the model at ``source``; nothing where there is none, here or in the Hub's cache.

    ``adapter`` may also be the folder of a whole model, which then is loaded in the place of ``source``.
    """
    if adapter is not None and is_whole_model(expand(adapter)):
        return content_of(expand(adapter), "config.json")
    return content_of(adapter_chain(source)[-1], "config.json")
