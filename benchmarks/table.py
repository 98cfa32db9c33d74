"""The rows of a benchmark as a Markdown table."""

from __future__ import annotations

from dataclasses import dataclass

from stopwatch import Comparison, Spread

HEADER = ("what", "ours", "reference", "ratio or value: median [min-max]", "target", "met?")
GPU_HEADER = ("tokens/s", "GPU memory")


@dataclass(frozen=True)
class Row:
    """One measured quantity. ``measured`` is what ``target`` bounds: from above, or from below with ``at_least``.

    ``ours``, ``reference``: the times behind a ratio, seconds. ``target``: None where the number is only reported.
    """

    what: str
    measured: Spread
    target: float | None
    unit: str = "×"
    at_least: bool = False
    ours: float | None = None
    reference: float | None = None
    tokens_per_second: float | None = None
    gpu_bytes: int | None = None

    @classmethod
    def of_ratio(cls, what: str, comparison: Comparison, target: float | None, tokens: int) -> Row:
        """Ours over the reference; ``tokens``: how many are in ours' batch."""
        seconds = comparison.ours.median
        return cls(
            what,
            comparison.ratio,
            target,
            ours=seconds,
            reference=comparison.reference.median,
            tokens_per_second=tokens / seconds,
            gpu_bytes=comparison.gpu_bytes,
        )

    @property
    def met(self) -> str:
        """``yes``, ``no``, or empty where nothing is asked."""
        if self.target is None:
            return ""
        value = self.measured.median
        return "yes" if (value >= self.target if self.at_least else value <= self.target) else "**no**"

    def cells(self) -> list[str]:
        """The texts below HEADER."""
        spread, bound = self.measured, "≥" if self.at_least else "≤"
        return [
            self.what,
            "" if self.ours is None else f"{self.ours:.3f} s",
            "" if self.reference is None else f"{self.reference:.3f} s",
            f"{spread.median:.2f} {self.unit} [{spread.low:.2f}-{spread.high:.2f}]",
            "" if self.target is None else f"{bound} {self.target:g} {self.unit}",
            self.met,
        ]

    def gpu_cells(self) -> list[str]:
        """The texts below GPU_HEADER."""
        speed, memory = self.tokens_per_second, self.gpu_bytes
        return ["" if speed is None else f"{speed:,.0f}", "" if memory is None else f"{memory / 1e9:.2f} GB"]


def line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(gpu: bool) -> str:
    """The first two lines of the table."""
    names = [*HEADER, *(GPU_HEADER if gpu else ())]
    return "\n".join([line(names), line(["---"] * len(names))])


def row_line(row: Row, gpu: bool) -> str:
    """One line of the table."""
    return line([*row.cells(), *(row.gpu_cells() if gpu else ())])
