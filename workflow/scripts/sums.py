"""Reads nothing; writes pairs of sums."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.sums import write_sums

    write_sums(
        snakemake.params.digits,
        snakemake.wildcards.corruption,
        snakemake.params.pairs,
        snakemake.output[0],
    )
