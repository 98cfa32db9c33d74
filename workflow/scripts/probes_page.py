"""Reads a study's patch grid and attention patterns; writes a page whose cells say token and value under the mouse."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_page import draw

    draw(
        snakemake.input.prompts,
        snakemake.input.patches,
        snakemake.input.summary,
        snakemake.input.patterns,
        snakemake.params.title,
        snakemake.output.html,
    )
