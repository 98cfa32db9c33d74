"""Reads the circuit of every checkpoint; draws them side by side."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.circuit_evolution import draw

    circuits = dict(zip(snakemake.params.checkpoints, snakemake.input.circuits, strict=True))
    draw(
        circuits,
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
