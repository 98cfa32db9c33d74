"""Summaries in batches against one article at a time, both greedy and with a key-value cache.

python benchmarks/generation.py [--articles 64] [--tokens 448] [--new 64] [--batch 32] [--layers 4] [--width 256] [--heads 4]
[--vocabulary 50257] [--threads 1]; prints a Markdown table. Random weights and tokens: nothing ends before --new tokens.
"""

from __future__ import annotations

import argparse
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rewire.pretrained import fuse_activations
from rewire.summaries import generate

SIZES = {
    "articles": 64,
    "tokens": 448,
    "new": 64,
    "batch": 32,
    "layers": 4,
    "width": 256,
    "heads": 4,
    "vocabulary": 50257,
    "threads": 1,
}


class NoWords:
    """In the place of a tokenizer: token ids as text."""

    eos_token_id = 0

    def decode(self, tokens: torch.Tensor, skip_special_tokens: bool) -> str:
        return " ".join(map(str, tokens.tolist()))


def seconds(
    model: GPT2LMHeadModel, questions: list[list[int]], batch: int, new: int
) -> tuple[float, list[str]]:
    start = time.perf_counter()
    texts = generate(model, NoWords(), questions, batch, new)
    return time.perf_counter() - start, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=options.layers,
        n_embd=options.width,
        n_head=options.heads,
        n_positions=options.tokens + options.new,
        vocab_size=options.vocabulary,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    fuse_activations(model)
    lengths = torch.randint(options.tokens // 2, options.tokens + 1, (options.articles,)).tolist()
    questions = [torch.randint(1, options.vocabulary, (n,)).tolist() for n in lengths]
    seconds(model, questions[:2], 2, 4)  # the first call is slower
    alone, one = seconds(model, questions, 1, options.new)
    together, many = seconds(model, questions, options.batch, options.new)
    same = sum(a == b for a, b in zip(one, many, strict=True))
    print(
        f"{options.articles} articles of {options.tokens // 2} to {options.tokens} tokens, {options.new} new tokens, "
        f"{options.layers} layers of width {options.width}, {options.threads} threads\n"
    )
    print("| | seconds | articles a second |\n|---|---:|---:|")
    for what, taken in (("one at a time", alone), (f"batches of {options.batch}", together)):
        print(f"| {what} | {taken:.1f} | {options.articles / taken:.1f} |")
    print(
        f"\n{alone / together:.1f} times as fast; {same} of {options.articles} texts are the same to the token"
    )


if __name__ == "__main__":
    main()
