"""Reads the tests of the edge-centric hypothesis; draws edge change against node change, and the statistic."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.edge_centric import draw

    draw(
        snakemake.input.table,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
        snakemake.params.named,
    )
