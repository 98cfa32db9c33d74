"""Reads the areas under all checkpoints' faithfulness curves; draws them beside those of random circuits."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.areas import draw

    draw(
        dict(zip(snakemake.params.checkpoints, snakemake.input.tables, strict=True)),
        snakemake.params.steps,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
