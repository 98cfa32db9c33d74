"""Reads the tables of pairs and of regressions; draws forgetting against overlap with the fits."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.sequential_forgetting import draw

    given, name = snakemake.input, snakemake.wildcards.model
    draw(given.table, given.fits, name, snakemake.output.png, snakemake.output.svg, snakemake.params.seed)
