"""Reads the changes of the circuit; draws them beside the noise floor and random circuits."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.evolution import draw

    draw(
        snakemake.input.table,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
        snakemake.params.named,
    )
