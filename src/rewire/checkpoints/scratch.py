"""A base model from nothing: a tokenizer trained on the articles, an architecture, and plain language modelling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast, set_seed

from rewire.checkpoints.save import save_checkpoint
from rewire.checkpoints.token_mean_trainer import Example
from rewire.checkpoints.training import Milestones, evenly_spaced, train, write_training_table
from rewire.checkpoints.unfinished import discard
from rewire.errors import InputError
from rewire.pretrained import load_tokenizer
from rewire.prompts import encode
from rewire.tables import read_table

EOS = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most ``vocabulary`` tokens, as GPT-2's: any text is legal."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS, pad_token=EOS)


def pack(texts: Iterable[str], tokenizer: Any, context: int) -> list[Example]:
    """Blocks of ``context`` tokens, all of them in the loss: each starts with an article (a long one continues in
    further blocks) and is filled with eos and the articles after it. Blocks that the last articles cannot fill are dropped.

    Starting at an article, and not anywhere, lets a model find repeats within it early: copying forms sooner.
    """
    articles = [[*encode(tokenizer, text), tokenizer.eos_token_id] for text in texts]
    stream = [token for article in articles for token in article]
    blocks: list[list[int]] = []
    start = 0
    for article in articles:
        for offset in range(0, len(article), context):
            blocks.append(stream[start + offset : start + offset + context])
        start += len(article)
    return [Example(block, block) for block in blocks if len(block) == context]


def build_model(architecture: Mapping[str, Any], tokenizer: Any) -> Any:
    """A randomly initialised model: ``architecture`` is a transformers ``model_type`` and its config's values."""
    options = dict(architecture)
    kind = options.pop("model_type")
    eos = tokenizer.eos_token_id
    check_keys(kind, options)
    try:
        config = AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), bos_token_id=eos, eos_token_id=eos, pad_token_id=eos, **options
        )
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, TypeError, KeyError, StrictDataclassError) as error:
        raise InputError(f"architecture model_type {kind!r}: {str(error).splitlines()[0][:200]}") from error


def check_keys(kind: str, options: Mapping[str, Any]) -> None:
    """InputError for a model_type, or a key of its config, that transformers does not know and would swallow."""
    if kind not in CONFIG_MAPPING:
        raise InputError(f"architecture model_type {kind!r} is not one that transformers knows")
    default = CONFIG_MAPPING[kind]()
    known = set(default.to_dict()) | set(default.attribute_map)
    from_tokenizer = {"vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"}
    for key in options:
        if key in from_tokenizer:
            raise InputError(f"architecture model_type {kind!r}: {key} follows from the tokenizer")
        if key not in known:
            raise InputError(f"architecture model_type {kind!r}: unknown key {key!r}")


def pretrain(
    model_entry: Mapping[str, Any],
    train_articles: str | Path,
    validation_articles: str | Path,
    folder: str | Path,
    table: str | Path,
    work: str | Path,
) -> None:
    """Train ``model_entry`` (an entry of ``models:`` with source scratch) on articles alone, to ``folder``.

    Summaries are never seen. ``work``: where an interrupted run resumes from; removed when done.
    """
    work = Path(work)
    settings = model_entry["pretraining"]
    texts, others = (
        read_table(path, ["article"])["article"].to_pylist() for path in (train_articles, validation_articles)
    )
    wanted = model_entry["tokenizer"]
    tokenizer: Any
    if "vocabulary" in wanted:
        tokenizer = train_tokenizer(texts, wanted["vocabulary"])
    else:
        tokenizer = load_tokenizer(wanted["path"])
    set_seed(settings["seed"])
    model = build_model(model_entry["architecture"], tokenizer)
    context = model.config.max_position_embeddings
    blocks = pack(texts, tokenizer, context)
    held_out = pack(others, tokenizer, context)
    if not blocks:
        raise InputError(f"{train_articles}: fewer than {context} tokens, not one block to train on")
    milestones = Milestones(validated=evenly_spaced(settings["steps"], 5))
    rows = train(model, blocks, held_out, settings, work, milestones, lambda *_: None, settings["seed"])
    save_checkpoint(folder, model, tokenizer)
    write_training_table(table, rows)
    discard(work)
