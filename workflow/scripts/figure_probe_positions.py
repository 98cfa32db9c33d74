"""Reads a study's patch grid; draws what every layer and token recovers."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_positions import draw

    draw(
        snakemake.input.prompts,
        snakemake.input.patches,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
