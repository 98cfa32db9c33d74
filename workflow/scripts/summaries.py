"""Reads a model and held-out articles; writes its summaries and their measures."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.summaries import write_summaries

    write_summaries(
        snakemake.input.checkpoint,
        snakemake.input.articles,
        snakemake.params.summaries,
        snakemake.output[0],
        snakemake.params.language,
    )
