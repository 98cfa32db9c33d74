"""Reads the bake-off's tables of strategies and runs; draws quality against trainable parameters."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.bakeoff_parameters import draw

    draw(
        snakemake.input.bakeoff,
        snakemake.input.runs,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
