"""Reads the training table; draws losses, learning rate and gradient norm."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.training import draw

    draw(snakemake.input.table, snakemake.params.title, snakemake.output.png, snakemake.output.svg)
