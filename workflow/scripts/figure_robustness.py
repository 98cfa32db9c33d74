"""Reads the robustness tables; draws how far circuits agree and how often resamples find each edge."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.robustness import draw

    draw(
        snakemake.input.agreement,
        snakemake.input.edges,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
    )
