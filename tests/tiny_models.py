"""Small models, tokenizers and article tables that several test modules build on."""

from pathlib import Path
from typing import Any

from rewire.articles import newswire
from rewire.tables import schema, write_table

ARTICLES = schema(id="string", article="string", summary="string")
CONTEXT = 128


def newswire_rows(rows: int, split: str = "train") -> list[dict[str, str]]:
    """Rows id, article, summary of the built-in world, short enough for a context of 128 tiny tokens."""
    return [
        {**row, "article": row["article"][:160].rsplit(".", 1)[0] + ".", "summary": row["summary"][:24]}
        for row in newswire.generate(rows, 0, split)
    ]


def articles_table(path: Path, rows: list[dict[str, str]]) -> Path:
    write_table(path, rows, ARTICLES)
    return path


def tiny_tokenizer(vocabulary: int = 400) -> Any:
    from rewire.checkpoints.scratch import train_tokenizer

    texts = [f"{row['article']} TL;DR: {row['summary']}" for row in newswire.generate(60, 0, "train")]
    return train_tokenizer(texts, vocabulary)


def tiny_model(tokenizer: Any, seed: int = 0, dropout: float = 0.0, **options: Any) -> Any:
    """A random GPT-2 of 2 layers, 2 heads, width 16."""
    from transformers import GPT2Config, GPT2LMHeadModel, set_seed

    set_seed(seed)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": CONTEXT} | options
    eos = tokenizer.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            bos_token_id=eos,
            eos_token_id=eos,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            **sizes,
        )
    ).eval()


def training_settings(**changes: Any) -> dict[str, Any]:
    """Settings of ``training.train`` for a run of a second."""
    return {
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "warmup": 1,
        "weight_decay": 0.01,
        "beta2": 0.99,
        "log_every": 1,
        "resume_every": 2,
        "seed": 0,
    } | changes
