"""Reads the claims table; draws it as a picture."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.claims import draw

    draw(snakemake.input.table, snakemake.output.png, snakemake.output.svg)
