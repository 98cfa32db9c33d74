"""Reads the table of pairs; draws overlap, cross-task faithfulness and forgetting task by task."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.sequential_heatmaps import draw

    draw(snakemake.input.table, snakemake.wildcards.model, snakemake.output.png, snakemake.output.svg)
