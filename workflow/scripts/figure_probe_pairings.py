"""Reads the means of a study's patch grid and the groups' correlations; draws which groups use the same parts."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.probe_pairings import draw

    draw(
        snakemake.input.summary,
        snakemake.input.pairings,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
