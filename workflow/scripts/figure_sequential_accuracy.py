"""Reads the checkpoints of every run; draws the accuracy of both tasks over both stages."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.sequential_accuracy import draw

    draw(snakemake.input.table, snakemake.wildcards.model, snakemake.output.png, snakemake.output.svg)
