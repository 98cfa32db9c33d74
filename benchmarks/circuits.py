"""Speed and memory of rewire.circuits: GPT-2 small's architecture against the plain model and TransformerLens.

python benchmarks/circuits.py [--sizes 2x128 4x512] [--repeats 5] [--threads 2] [--device cpu] [--dtype float32]
[--only attribution evaluation transformer-lens memory large-graph]; prints a Markdown table. See README.md beside this.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from peak_memory import peak_in_new_process
from stopwatch import Spread, repeat, seconds, take_turns
from subject import STEPS, PlainModel, Size, random_pairs, save_model
from table import Row, heading, row_line

from rewire.circuits import controls, interchange, selection
from rewire.circuits.attribution import attribute
from rewire.circuits.evaluation import evaluate
from rewire.circuits.graph import Graph
from rewire.models import Model, load

GPT2_XL = Graph(48, 25, 1600)  # 2.2 million edges
N_CIRCUITS = 10


@dataclass(frozen=True)
class Setting:
    """What a section is measured in. ``folder`` holds the model; ``dtype`` is torch's name of it."""

    folder: Path
    sizes: list[Size]
    repeats: int
    threads: int
    device: str
    dtype: str

    @cached_property
    def model(self) -> Model:
        return load(self.folder, dtype=getattr(torch, self.dtype))

    @cached_property
    def plain(self) -> PlainModel:
        return PlainModel(self.folder, self.device, getattr(torch, self.dtype))


def measure_attribution(setting: Setting) -> Iterator[Row]:
    """EAP-IG-inputs against the plain model's own two forwards and five forward and backward passes."""
    for size in setting.sizes:
        for corrupted_from, target in ((0.25, 1.4), (0.5, 1.0)):
            pairs = random_pairs(size, corrupted_from)
            comparison = take_turns(
                partial(attribute, setting.model, pairs, "nll", "EAP-IG-inputs", STEPS),
                partial(setting.plain.integrated_gradients, pairs, STEPS),
                setting.repeats,
                setting.device,
            )
            what = f"attribution, m = {STEPS}, {size}, corrupted from {corrupted_from:.0%}"
            yield Row.of_ratio(what, comparison, target, size.tokens)


def measure_evaluation(setting: Setting) -> Iterator[Row]:
    """A sweep over ten circuits, time a circuit, against one plain forward."""
    ranked = [
        attribute(setting.model, random_pairs(Size(1, 64), 0.25, seed), method="EAP")
        for seed in range(N_CIRCUITS)
    ]
    for size in setting.sizes:
        pairs = random_pairs(size, 0.25)
        tokens = pairs.clean.to(setting.device)
        for share, target in ((0.01, 1.2), (0.1, None), (0.5, 2.5)):
            n = round(share * setting.model.graph.n_edges)
            circuits = [selection.top_n(scores, n) for scores in ranked]
            comparison = take_turns(
                partial(evaluate, setting.model, circuits, pairs),
                partial(setting.plain.forward, tokens),
                setting.repeats,
                setting.device,
                units=N_CIRCUITS,
            )
            yield Row.of_ratio(
                f"one of ten circuits, {share:.0%} of edges, {size}", comparison, target, size.tokens
            )


def measure_transformer_lens(setting: Setting) -> Iterator[Row]:
    """One gradient on the corrupted run, every edge, against TransformerLens' attribution_patch. Once: it is slow."""
    from transformer_lens.tools.analysis import EdgeAttributionConfig, attribution_patch

    size, model = Size(2, 128), setting.model
    pairs = random_pairs(size, 0.25).to(torch.device(setting.device))
    targets = pairs.targets()
    position, token = targets.position[targets.example == 0], targets.token[targets.example == 0]

    def log_likelihood(logits: torch.Tensor) -> torch.Tensor:
        """[1, T, V] -> mean log-likelihood of the first example's targets; it serves for every example."""
        return logits[0, position].float().log_softmax(dim=-1).gather(1, token[:, None]).mean()

    def theirs() -> None:
        config = EdgeAttributionConfig(granularity="edge")
        attribution_patch(model.bridge, pairs.clean, pairs.corrupted, log_likelihood, config)

    ours = partial(attribute, model, pairs, steps=1)
    times = repeat(ours, setting.repeats, setting.device)
    # it needs something that requires a gradient: the embedding alone costs it least
    embedding = model.bridge.original_model.get_input_embeddings().weight.requires_grad_(True)
    once = seconds(theirs, setting.device)
    embedding.requires_grad_(False)
    times += repeat(ours, setting.repeats, setting.device)  # the machine may be busier or idler by now
    mine = Spread.of(times)
    yield Row(
        f"TransformerLens' attribution_patch over ours, one gradient, {size}",
        Spread.of([once / time for time in times]),
        target=20,
        at_least=True,
        ours=mine.median,
        reference=once,
        tokens_per_second=size.tokens / mine.median,
    )


def measure_memory(setting: Setting) -> Iterator[Row]:
    """Peak memory of attribution above the loaded model, each in a process of its own."""
    for size, target in (
        (Size(1, 1024), 2.5),
        (Size(1, 256), None),
        (Size(4, 256), None),
        (Size(16, 256), None),
    ):
        peak = peak_in_new_process(
            setting.folder, size, size.length, setting.device, setting.dtype, setting.threads
        )
        what = f"peak memory of attribution, {size}, one example a batch"
        yield Row(what, Spread.of([peak / 1e9]), target, unit="GB")


def measure_large_graph(setting: Setting) -> Iterator[Row]:
    """Selection, pruning and files of GPT-2 XL's graph with random scores, seconds."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(GPT2_XL.mask.shape, generator=generator).masked_fill(~GPT2_XL.mask, 0.0)
    scores = selection.Scores(values, GPT2_XL, "EAP", "nll")
    n = GPT2_XL.n_edges // 10
    circuit = selection.top_n(scores, n)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        works: list[tuple[str, float, Callable[[], object]]] = [
            ("top_n", 2, partial(selection.top_n, scores, n)),
            ("greedy", 2, partial(selection.greedy, scores, n)),
            ("prune", 2, partial(selection.prune, circuit.mask, GPT2_XL)),
            ("random_like", 2, partial(controls.random_like, circuit, generator)),
            ("write JSON", 5, partial(interchange.write_eap_json, circuit, scores, path / "circuit.json")),
            ("read JSON", 5, partial(interchange.read_eap_json, path / "circuit.json")),
            ("write .pt", 5, partial(interchange.write_eap_pt, circuit, scores, path / "circuit.pt")),
            ("read .pt", 5, partial(interchange.read_eap_pt, path / "circuit.pt")),
            ("write safetensors", 5, partial(interchange.write_scores, scores, circuit, path / "scores.safetensors")),
            ("read safetensors", 5, partial(interchange.read_scores, path / "scores.safetensors")),
        ]  # fmt: skip
        for name, target, work in works:
            what = f"{name}, {GPT2_XL.n_edges:,} edges, {n:,} chosen"
            yield Row(what, Spread.of(repeat(work, setting.repeats, "cpu")), target, unit="s")


SECTIONS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "attribution": measure_attribution,
    "evaluation": measure_evaluation,
    "transformer-lens": measure_transformer_lens,
    "memory": measure_memory,
    "large-graph": measure_large_graph,
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(2, 128), Size(4, 512)])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16", "float16"), default=["float32"])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "cpu":  # rewire.models.load takes the GPU where it sees one
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(arguments.threads)
    gpu = arguments.device == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder))
        for dtype in arguments.dtype:
            print(f"\n{dtype}, {arguments.device}, {arguments.threads} threads, torch {torch.__version__}\n")
            print(heading(gpu))
            setting = Setting(
                Path(folder), arguments.sizes, arguments.repeats, arguments.threads, arguments.device, dtype
            )
            for section in arguments.only:
                for row in SECTIONS[section](setting):
                    print(row_line(row, gpu), flush=True)


if __name__ == "__main__":
    main()
