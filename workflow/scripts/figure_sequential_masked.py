"""Reads the table of pairs; draws forgetting and accuracy where a side of the first task's circuit alone is trained."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.sequential_masked import draw

    draw(
        snakemake.input.table,
        snakemake.params.sides,
        snakemake.params.others,
        snakemake.wildcards.model,
        snakemake.output.png,
        snakemake.output.svg,
    )
