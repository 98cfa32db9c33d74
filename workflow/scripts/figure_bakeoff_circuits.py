"""Reads how far the circuits of adapted models agree; draws it."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.bakeoff_circuits import draw

    draw(snakemake.input.table, snakemake.params.title, snakemake.output.png, snakemake.output.svg)
