"""Speed of the patch grid and of a layer's neurons: GPT-2 small's architecture, a prompt pair as long as the one-token study's.

python benchmarks/probes.py [--repeats 5] [--threads 2] [--device cpu] [--dtype float32] [--layers 0 8 10]; prints a Markdown
table. Random weights and tokens. The references are the plain Hugging Face model: one forward of the pair, and a neuron at a
time in a hook.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from stopwatch import Spread, take_turns
from subject import VOCABULARY, PlainModel, save_model
from table import Row, heading, row_line
from torch import Tensor

from rewire.models import Model, load
from rewire.probes.measures import Answers, measure_patches
from rewire.probes.patches import COMPONENTS, HEADS, NONE, Patches, concatenate, every
from rewire.probes.patching import Patching
from rewire.probes.runs import Run

LENGTH, DIFFERENCE = 11, 1  # "Michelle Jones was a top-notch student. Michelle": the second token differs
ALONE = 8  # neurons that are patched one at a time; the time is per neuron


class Subject:
    """The pair, and what is measured on it."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        self.model: Model = load(folder, dtype=dtype)
        self.plain = PlainModel(folder, device, dtype)
        generator = torch.Generator().manual_seed(0)
        self.clean = torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)
        self.corrupted = self.clean.clone()
        self.corrupted[0, DIFFERENCE] = (self.clean[0, DIFFERENCE] + 1) % VOCABULARY
        self.pair = torch.cat([self.clean, self.corrupted]).to(device)
        self.neurons = self.model.bridge.blocks[0].mlp.W_out.shape[0]

    def measure(self, patches: Patches) -> Tensor:
        """Both runs and every patch, to the measures of the answers."""
        runs = [Run(self.model.stream, tokens) for tokens in (self.clean, self.corrupted)]
        patching = Patching(*runs, torch.tensor([DIFFERENCE]))
        return measure_patches(patching, Answers(torch.tensor([5]), torch.tensor([6])), patches)

    def neurons_alone(self, layer: int) -> None:
        """ALONE neurons of the last position, one forward each, by the plain model."""
        output: Any = self.plain.model.transformer.h[layer].mlp.c_proj
        for neuron in range(ALONE):

            def patch(_: Any, inputs: tuple[Tensor], at: int = neuron) -> tuple[Tensor]:
                inputs[0][:, -1, at] = 0.5
                return inputs

            hook = output.register_forward_pre_hook(patch)
            self.plain.forward(self.pair[1:])
            hook.remove()


def measure_grids(subject: Subject, repeats: int, device: str) -> Iterator[Row]:
    """Grids of layers by positions, and of layers by heads, against one plain forward of the pair."""
    layers, positions = range(12), range(LENGTH)
    grids = {
        "grid of the residual stream, 12 × 11": (
            every([0], COMPONENTS[:1], layers, positions=positions),
            25.0,
        ),
        "four such grids: before, after, attention, MLP": (
            every([0], COMPONENTS, layers, positions=positions),
            None,
        ),
        "five grids of heads: z, q, k, v, pattern, 12 × 12": (every([0], HEADS, layers, range(12)), None),
    }
    for what, (patches, target) in grids.items():
        ours, reference = partial(subject.measure, patches), partial(subject.plain.forward, subject.pair)
        yield Row.of_ratio(what, take_turns(ours, reference, repeats, device), target, LENGTH)


def measure_neurons(subject: Subject, layers: list[int], repeats: int, device: str) -> Iterator[Row]:
    """All neurons of a layer, at all positions of the last one too, against as many forwards of one prompt."""
    for layer in layers:
        everywhere = [(NONE, None)] if layer == layers[-1] else []
        for position, target in ((LENGTH - 1, 20.0), *everywhere):
            patches = concatenate(
                [every([0], ["neuron"], [layer], neurons=range(subject.neurons), positions=[position])]
            )
            found = take_turns(
                partial(subject.measure, patches), partial(subject.neurons_alone, layer), repeats, device
            )
            times = subject.neurons / ALONE
            faster = Spread(*(times / r for r in (found.ratio.median, found.ratio.high, found.ratio.low)))
            where = "the last position" if position != NONE else "all positions"
            ours, alone = found.ours.median, found.reference.median * times
            yield Row(
                f"{subject.neurons:,} neurons of layer {layer}, {where}: one at a time over ours",
                faster,
                target,
                at_least=True,
                ours=ours,
                reference=alone,
                tokens_per_second=subject.neurons / ours,
                gpu_bytes=found.gpu_bytes,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--layers", nargs="+", type=int, default=[0, 8, 10])
    arguments = parser.parse_args()
    if arguments.device == "cpu":  # rewire.models.load takes the GPU where it sees one
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(save_model(Path(folder)), arguments.device, getattr(torch, arguments.dtype))
        gpu = arguments.device == "cuda"
        print(
            f"\n{arguments.dtype}, {arguments.device}, {arguments.threads} threads, torch {torch.__version__}\n"
        )
        print(heading(gpu))
        for row in measure_grids(subject, arguments.repeats, arguments.device):
            print(row_line(row, gpu), flush=True)
        for row in measure_neurons(subject, arguments.layers, arguments.repeats, arguments.device):
            print(row_line(row, gpu), flush=True)


if __name__ == "__main__":
    main()
