"""Reads the changes of every run's circuits; draws them by checkpoint beside the noise floor."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.sequential_changes import draw

    draw(snakemake.input.table, snakemake.wildcards.model, snakemake.output.png, snakemake.output.svg)
