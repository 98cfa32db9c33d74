"""Reads a base model, what every seed of a strategy trained, and held-out articles; writes their summaries and measures."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.summaries import write_seeds_summaries

    write_seeds_summaries(
        snakemake.input.checkpoint,
        dict(zip(snakemake.params.seeds, snakemake.input.adapters, strict=True)),
        snakemake.input.articles,
        snakemake.params.summaries,
        snakemake.output[0],
        snakemake.params.language,
    )
