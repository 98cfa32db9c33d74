"""Reads the effect of the corruptions and the agreement of circuits; draws how much each hurts and what it changes."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.pairs import draw

    draw(
        snakemake.input.effects,
        snakemake.input.agreement,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
