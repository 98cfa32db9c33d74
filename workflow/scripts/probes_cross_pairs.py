"""Reads base, last checkpoint and pairs; writes what each recovers with the other's activations, in the summaries' NLL."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.probes.stage import write_cross_pairs

    write_cross_pairs(
        snakemake.input.base,
        snakemake.input.finetuned[0],
        snakemake.input.pairs,
        snakemake.params.probes,
        dict(snakemake.output.items()),
    )
