"""Reads how much each layer and head changed; draws it."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.critical_layers import draw

    draw(
        snakemake.input.criticality,
        snakemake.params.checkpoint,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
