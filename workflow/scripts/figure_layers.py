"""Reads the differential tables of all checkpoints; draws what changed in which layer."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.layers import draw

    names = snakemake.params.checkpoints
    draw(
        dict(zip(names, snakemake.input.layers, strict=True)),
        dict(zip(names, snakemake.input.heads, strict=True)),
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
