"""Reads what groups of prompts recover and write, and their correlations; draws which groups use the same parts."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_pairings import draw

    draw(
        snakemake.input.summary,
        snakemake.input.neurons,
        snakemake.input.readings,
        snakemake.input.pairings,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
