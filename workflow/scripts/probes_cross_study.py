"""Reads base, last checkpoint and a study; writes what each recovers with the other's activations."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.probes.stage import write_cross_study

    write_cross_study(
        snakemake.input.base,
        snakemake.input.finetuned[0],
        snakemake.input.study,
        snakemake.params.probes,
        dict(snakemake.output.items()),
    )
