"""Reads the means of a study's readings and patch grid; draws where the leading heads look."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_attention import draw

    draw(
        snakemake.input.readings,
        snakemake.input.summary,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
