"""Reads the means of a study's readings; draws logit lens and direct logit attribution."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_logits import draw

    draw(
        snakemake.input.readings,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
