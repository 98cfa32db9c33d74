"""Reads a study's prompts, patterns and what heads recover; draws the leading heads' attention over the sentence."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_patterns import draw

    draw(
        snakemake.input.prompts,
        snakemake.input.patterns,
        snakemake.input.summary,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
