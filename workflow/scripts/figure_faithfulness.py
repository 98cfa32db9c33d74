"""Reads the faithfulness of all checkpoints; draws it against circuit size, beside its nulls."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.faithfulness import draw

    draw(
        dict(zip(snakemake.params.checkpoints, snakemake.input.tables, strict=True)),
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
