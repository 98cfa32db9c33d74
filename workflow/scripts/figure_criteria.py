"""Reads the criteria of some checkpoints' circuits; draws how necessary, complete and minimal they are."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.criteria import draw

    draw(
        dict(zip(snakemake.params.checkpoints, snakemake.input.tables, strict=True)),
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
