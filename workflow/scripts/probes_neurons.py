"""Reads a checkpoint and a study; writes what every neuron recovers, and the leading ones prompt by prompt."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.probes.stage import write_neurons

    write_neurons(
        snakemake.input.checkpoint,
        snakemake.input.study,
        snakemake.params.probes,
        dict(snakemake.output.items()),
    )
