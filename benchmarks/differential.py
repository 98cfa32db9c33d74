"""Where the time and the memory of the differential analysis go: two models' forward passes, or what is measured on them.

python benchmarks/differential.py [--articles 200] [--small 50] [--tokens 256] [--layers 6] [--width 384] [--heads 6]
[--vocabulary 50257] [--batch-tokens 4096] [--threads 1]; prints Markdown tables. Random weights and tokens.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from peak_memory import forget_peak, status_bytes
from transformers import GPT2Config, GPT2LMHeadModel

from rewire.differential.comparison import compare
from rewire.models import Model, load
from rewire.pairs import TokenPairs

MEASURING = (
    "compare_attention",
    "compare_spread",
    "out_of_range",
    "head_measures",
    "add_block",
    "add_end",
)  # all that is not a forward pass


def save_models(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Two random GPT-2s of one shape."""
    config = GPT2Config(
        n_layer=options.layers,
        n_embd=options.width,
        n_head=options.heads,
        n_positions=options.tokens,
        vocab_size=options.vocabulary,
        bos_token_id=0,
        eos_token_id=0,
    )
    paths = [folder / name for name in ("base", "tuned")]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        GPT2LMHeadModel(config).save_pretrained(path)
    return paths


def articles(n: int, options: argparse.Namespace) -> TokenPairs:
    """``n`` articles of random tokens, between half the context and all of it."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, options.vocabulary, (n, options.tokens), generator=generator)
    lengths = torch.randint(options.tokens // 2, options.tokens + 1, (n,), generator=generator)
    return TokenPairs(tokens, tokens, lengths)


@torch.no_grad()
def forward(models: list[Model], pairs: TokenPairs, batch_tokens: int, with_logits: bool) -> float:
    """CPU seconds of both models' plain forward passes: Hugging Face's own with logits, else up to the final norm."""
    start = time.process_time()
    for _, batch in pairs.batches(batch_tokens):
        for model in models:
            if with_logits:
                model.bridge.original_model(batch.clean)
            else:
                model.stream.run(model.stream.embed(batch.clean), 0, None)
    return time.process_time() - start


def analysis(models: list[Model], pairs: TokenPairs, batch_tokens: int) -> tuple[float, float]:
    """CPU seconds of a whole comparison, and of what it measures on the forward passes."""
    profile = cProfile.Profile(time.process_time, builtins=False)
    start = time.process_time()
    profile.runcall(compare, *models, pairs, batch_tokens=batch_tokens)
    whole = time.process_time() - start
    called = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    return whole, sum(entry[3] for (_, _, name), entry in called if name in MEASURING)


def peak_bytes(paths: list[Path], n: int, options: argparse.Namespace) -> int:
    """The most memory that comparing ``n`` articles takes above the loaded models, in a process of its own."""
    given = [
        f"--{key.replace('_', '-')}={value}" for key, value in vars(options).items() if value is not None
    ]
    command = [sys.executable, __file__, *given, f"--articles={n}", "--peak", *map(str, paths)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def print_times(paths: list[Path], options: argparse.Namespace) -> None:
    models, pairs = [load(path) for path in paths], articles(options.articles, options)
    few = pairs.subset(torch.arange(4))
    for work in (forward, analysis):  # the first call of each is slower
        work(models, few, options.batch_tokens, *([True] if work is forward else []))
    logits, bare = (
        forward(models, pairs, options.batch_tokens, with_logits) for with_logits in (True, False)
    )
    whole, measuring = analysis(models, pairs, options.batch_tokens)
    print(
        f"{len(pairs)} articles of {options.tokens // 2} to {options.tokens} tokens, {options.threads} threads\n"
    )
    print("| | CPU seconds | share of the comparison |\n|---|---:|---:|")
    for what, seconds in (
        ("whole comparison", whole),
        ("of it: the two models' forward passes", whole - measuring),
        ("of it: measuring", measuring),
        ("plain forward passes, Hugging Face, with logits", logits),
        ("plain forward passes up to the final norm", bare),
    ):
        print(f"| {what} | {seconds:.1f} | {100 * seconds / whole:.1f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"articles": 200, "small": 50, "tokens": 256, "layers": 6, "width": 384, "heads": 6}
    for name, default in {**sizes, "vocabulary": 50257, "batch-tokens": 4096, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--peak", nargs=2, type=Path, help="two model folders: print the peak in bytes, no more"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        models, pairs = [load(path) for path in options.peak], articles(options.articles, options)
        forward(models, pairs.subset(torch.arange(1)), options.batch_tokens, True)  # weights count once read
        forget_peak()
        before = status_bytes("VmRSS")
        compare(*models, pairs, batch_tokens=options.batch_tokens)
        print(status_bytes("VmHWM") - before)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = save_models(Path(folder), options)
        print_times(paths, options)
        print("\n| articles | peak memory above the loaded models (MB) |\n|---:|---:|")
        for n in (options.small, options.articles):
            print(f"| {n} | {peak_bytes(paths, n, options) / 1e6:.0f} |")


if __name__ == "__main__":
    main()
