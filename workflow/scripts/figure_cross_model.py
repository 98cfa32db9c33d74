"""Reads what base and last checkpoint recover with each other's activations; draws it by layer and head."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.cross_model import draw

    draw(
        snakemake.input.summary,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
