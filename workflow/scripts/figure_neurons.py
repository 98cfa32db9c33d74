"""Reads the last checkpoint's table of neurons; draws which changed, and the most changed ones by name."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.neurons import draw

    draw(
        snakemake.input.neurons[0],
        snakemake.params.checkpoint,
        snakemake.params.top,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
