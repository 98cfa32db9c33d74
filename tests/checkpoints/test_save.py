"""What a saved checkpoint says, and does not say."""

from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from rewire.checkpoints.save import save_checkpoint
from rewire.checkpoints.scratch import train_tokenizer


def test_files_do_not_tell_how_the_tokenizer_was_read(tmp_path):
    """A machine without a network writes the same bytes."""
    train_tokenizer(["a b c"], 260).save_pretrained(tmp_path / "source")
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=4, n_head=1, n_positions=4, vocab_size=260))
    for name in ("online", "offline"):
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "source", local_files_only=name == "offline")
        save_checkpoint(tmp_path / name, model, tokenizer)
    saved = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("online", "offline")
    ]
    assert saved[0] == saved[1] and b"local" not in saved[0]["tokenizer_config.json"]
