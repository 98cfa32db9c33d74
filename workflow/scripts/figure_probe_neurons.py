"""Reads a study's table of neurons; draws what each recovers, and the leading ones by name."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_neurons import draw

    draw(
        snakemake.input.neurons,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
