"""Reads the tables of circuits and layers; draws edges born and lost, and between which layers."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.evolution_layers import draw

    draw(
        snakemake.input.circuits,
        snakemake.input.layers,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
        snakemake.params.named,
    )
