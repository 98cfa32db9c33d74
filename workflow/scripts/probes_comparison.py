"""Reads what a study's groups recover and write; writes how alike every two are, and where they agree and differ."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.probes.comparison import write_comparison

    write_comparison(
        snakemake.input.summary,
        snakemake.input.neurons,
        snakemake.input.readings,
        dict(snakemake.output.items()),
    )
