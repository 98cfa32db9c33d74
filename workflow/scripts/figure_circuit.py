"""Reads a circuit file; draws the circuit."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.circuit import draw

    draw(snakemake.input.circuit[0], snakemake.params.title, snakemake.output.png, snakemake.output.svg)
