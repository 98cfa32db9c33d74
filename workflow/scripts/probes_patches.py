"""Reads a checkpoint and a study; writes what every patched site recovers, per prompt and in sum."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.probes.stage import write_patches

    write_patches(
        snakemake.input.checkpoint,
        snakemake.input.study,
        snakemake.params.probes,
        dict(snakemake.output.items()),
    )
