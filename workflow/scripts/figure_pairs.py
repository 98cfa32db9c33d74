"""Reads the effect of the corruptions; draws how much each hurts."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.pairs import draw

    draw(snakemake.input.table, snakemake.params.title, snakemake.output.png, snakemake.output.svg)
