"""Reads in which parts groups of prompts agree and differ; draws those that lead in some group."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_agreement import draw

    draw(
        snakemake.input.agreement,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
