"""Reads the last checkpoint's differential summary; draws how attention changed, by layer and head."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.heads import draw

    draw(
        snakemake.input.summary[0],
        snakemake.params.checkpoint,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
