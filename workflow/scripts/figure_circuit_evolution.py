"""Reads the circuits that the evolution compares; draws them side by side."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.circuit_evolution import draw

    draw(
        snakemake.input.edges,
        snakemake.params.checkpoints,
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
