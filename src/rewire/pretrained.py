"""Load Hugging Face models and tokenizers: a Hub id or a local directory, safetensors only unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
from safetensors import SafetensorError, safe_open

from rewire.errors import InputError
from rewire.paths import expand, is_whole_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model", "spiece.model")
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def resolve_adapter(source: str | Path, adapter: str | Path | None) -> tuple[str | Path, str | Path | None]:
    """(base, adapter): follows ``source`` to what it names as its base if it is an adapter's directory.

    The base may be an adapter in its turn: ``load_transformer`` merges the whole chain.
    """
    source = expand(source)
    config = Path(source) / "adapter_config.json"
    if adapter is None and config.is_file():
        try:
            base = json.loads(config.read_text()).get("base_model_name_or_path")
        except ValueError as error:
            raise InputError(f"{config}: not a JSON file: {error}") from error
        if not base:
            raise InputError(f"{config}: names no base model (base_model_name_or_path)")
        return base, source
    return source, None if adapter is None else expand(adapter)


def bottom_of(source: str | Path) -> str:
    """The model under ``source``: itself, or where the chain of adapters ends that begins there.

    Errors: InputError for a chain that leads back to itself.
    """
    chain = [expand(source)]
    while True:
        base, adapter = resolve_adapter(chain[-1], None)
        if adapter is None:
            return chain[-1]
        if expand(base) in chain:
            raise InputError(f"{source}: its adapters lead back to {base}, there is no base model")
        chain.append(expand(base))


def load_transformer(
    source: str | Path,
    adapter: str | Path | None = None,
    dtype: Any = None,
    allow_pickle: bool = False,
) -> PreTrainedModel:
    """The Hugging Face model, in evaluation mode, an adapter merged into its weights.

    ``adapter`` may also be the folder of a whole model, which then is loaded in the place of ``source``. A ``source``
    that is an adapter is merged into its own base first.
    Errors: InputError for a directory without weights, weights that are a pickle, or a Hub id that cannot be reached.
    """
    if adapter is not None and is_whole_model(expand(adapter)):
        source, adapter = adapter, None
    bottom_of(source)  # refuses a chain without an end
    source, below = resolve_adapter(source, None)
    if below is None:
        model = read_transformer(str(source), dtype, allow_pickle)
    else:
        model = load_transformer(source, below, dtype, allow_pickle)
    return (model if adapter is None else merge_adapter(model, expand(adapter), allow_pickle)).eval()


def read_transformer(source: str, dtype: Any, allow_pickle: bool) -> Any:
    """The model of a directory or Hub id that is no adapter."""
    from transformers import AutoModelForCausalLM

    check_weights(Path(source), allow_pickle)
    if not allow_pickle:
        check_hub_adapter(source)
    options: dict[str, Any] = {"use_safetensors": None if allow_pickle else True}
    if dtype is not None:
        options["dtype"] = dtype
    with explaining(source, "model"):
        read: Any = AutoModelForCausalLM.from_pretrained(
            source, output_loading_info=True, trust_remote_code=False, **options
        )
    model, loaded = read
    if missing := sorted(loaded["missing_keys"]):  # transformers would go on with random ones
        raise InputError(f"{source}: its weights lack {missing[0]} and {len(missing) - 1} others")
    fuse_activations(model)
    return model


def fuse_activations(transformer: Any) -> None:
    """Compute GPT-2's GELU in one kernel, not eight that each keep a tensor for a backward pass: the same function."""
    from transformers.activations import GELUTanh, NewGELUActivation

    for module in list(transformer.modules()):
        if isinstance(getattr(module, "act", None), NewGELUActivation):
            module.act = GELUTanh()


def put_adapter(model: Any, adapter: str, allow_pickle: bool = False, **options: Any) -> Any:
    """``model`` under a PEFT adapter (``options``: ``from_pretrained``'s). Errors: InputError that names the adapter."""
    from peft import PeftModel

    with explaining(adapter, "adapter"):
        if not allow_pickle:
            check_safetensors(adapter)
        return PeftModel.from_pretrained(model, adapter, **options)


def merge_adapter(model: Any, adapter: str, allow_pickle: bool) -> Any:
    """``model`` with a PEFT adapter merged into its weights. Errors: InputError that names the adapter."""
    adapted = put_adapter(model, adapter, allow_pickle)
    with explaining(adapter, "adapter"):
        return adapted.merge_and_unload()


def check_hub_adapter(source: str) -> None:
    """As ``check_safetensors`` of a model's Hub id that is an adapter's: transformers would take a pickle there."""
    from transformers.utils.peft_utils import find_adapter_config_file

    with explaining(source, "model"):
        if find_adapter_config_file(source) is not None:
            check_safetensors(source)


def check_safetensors(adapter: str) -> None:
    """InputError unless an adapter's folder, or its repository on the Hub, has its weights as safetensors. Fetches them."""
    if Path(adapter).is_dir():
        there = Path(adapter, ADAPTER_WEIGHTS).is_file()
    else:
        try:
            there = bool(hf_hub_download(adapter, ADAPTER_WEIGHTS))
        except RemoteEntryNotFoundError:
            there = False
    if not there:
        raise InputError(f"{adapter}: no {ADAPTER_WEIGHTS} (a pickle can run code and is refused)")


def context_length(transformer: PreTrainedModel) -> int:
    """How many tokens the model can read at once."""
    return positions(transformer.config, str(transformer.name_or_path))


def positions(config: Any, source: str) -> int:
    """``max_position_embeddings``. Errors: InputError for an architecture that states none."""
    length = getattr(config, "max_position_embeddings", None)
    if length is None:
        raise InputError(f"{source}: {config.model_type} states no longest context (max_position_embeddings)")
    return int(length)


def load_config(source: str | Path) -> Any:
    """The transformers config at ``source``. Errors: InputError if there is none."""
    from transformers import AutoConfig

    source = expand(source)
    with explaining(source, "config"):
        return AutoConfig.from_pretrained(source, trust_remote_code=False)


def context_of(source: str | Path) -> int:
    """How many tokens the model at ``source`` can read at once, without loading its weights."""
    return positions(load_config(source), expand(source))


def find_tokenizer(source: str | Path) -> PreTrainedTokenizerBase | None:
    """The tokenizer at ``source``, None if it is a directory without one (a model of bare tokens)."""
    directory = Path(expand(source))
    return None if directory.is_dir() and not holds_tokenizer(directory) else load_tokenizer(source)


def holds_tokenizer(directory: Path) -> bool:
    return any((directory / name).is_file() for name in TOKENIZER_FILES)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer at ``source``. Errors: InputError if there is none, or it has no end-of-sequence token."""
    from transformers import AutoTokenizer, GPT2Tokenizer

    source = expand(source)
    directory = Path(source)
    if directory.is_dir() and not holds_tokenizer(directory):
        raise InputError(f"{source}: the directory holds no tokenizer ({', '.join(TOKENIZER_FILES)})")
    bare = (directory / "vocab.json").is_file() and not (directory / "tokenizer_config.json").is_file()
    # vocab.json and merges.txt alone do not say what they are: GPT-2's byte-level BPE is kept that way
    loader = GPT2Tokenizer if bare and not (directory / "config.json").is_file() else AutoTokenizer
    with explaining(source, "tokenizer"):
        tokenizer = loader.from_pretrained(source, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise InputError(f"{source}: the tokenizer has no end-of-sequence token (eos_token)")
    return tokenizer


def check_weights(directory: Path, allow_pickle: bool) -> None:
    """InputError for a local directory without weights, or with a pickle only."""
    if not directory.is_dir():
        return
    if not (directory / "config.json").is_file():
        raise InputError(f"{directory}: not a model directory, it has no config.json")
    if any(directory.glob("*.safetensors")):
        if (broken := broken_file(directory)) != directory:  # transformers passes over some of them
            raise InputError(f"{broken}: not a readable {broken.suffix.removeprefix('.')} file")
        return
    pickles = sorted(file.name for file in [*directory.glob("*.bin"), *directory.glob("*.pt")])
    if pickles and not allow_pickle:
        raise InputError(
            f"{directory / pickles[0]}: weights in a pickle can run code and are refused; convert them to safetensors, "
            "or set allow_pickle: true for this model"
        )
    if not pickles:
        raise InputError(f"{directory}: the directory holds no weights (*.safetensors)")


@contextmanager
def explaining(source: str | Path, what: str) -> Iterator[None]:
    """InputError in place of whatever a loader raises: bytes at random make it raise anything."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(explain(source, what, error)) from error


def explain(source: str | Path, what: str, error: Exception) -> str:
    """One line on why ``source`` could not be loaded."""
    if Path(source).exists():
        reason = (str(error).strip().splitlines() or [""])[0]
        if not isinstance(error, (OSError, ValueError, SafetensorError)):  # a bare key, or nothing at all
            reason = f"{type(error).__name__}: {reason}"
        return f"{broken_file(Path(source))}: cannot load the {what}: {reason}"
    if what == "model" and in_cache(str(source)):
        return (
            f"{what} {source!r}: it is in the Hub cache, but not as safetensors; weights in a pickle can run code and are "
            "refused, unless allow_pickle: true for this model"
        )
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"{what} {source!r}: not a directory, not in the local Hub cache, and not to be had from the Hub ({first}); on a "
        f"machine with a network run 'hf download {source}', then set HF_HUB_OFFLINE=1 here"
    )


def broken_file(folder: Path) -> Path:
    """The first file of ``folder`` that is not what its name says, JSON or safetensors; the folder if there is none."""
    for file in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        try:
            if file.suffix == ".json":
                json.loads(file.read_text())
            else:
                safe_open(file, framework="numpy")
        except (OSError, ValueError, SafetensorError):
            return file
    return folder


def in_cache(source: str) -> bool:
    """Whether the local Hub cache holds the model's config."""
    try:
        return isinstance(try_to_load_from_cache(source, "config.json"), str)
    except HFValidationError:  # a path, not a Hub id
        return False
