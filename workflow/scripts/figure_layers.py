"""Reads the differential summaries of all checkpoints; draws what changed in which layer."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.layers import draw

    draw(
        dict(zip(snakemake.params.checkpoints, snakemake.input.summaries, strict=True)),
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
