"""Reads the means of a study's patch grid; draws what every head recovers."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_heads import draw

    draw(
        snakemake.input.summary,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
