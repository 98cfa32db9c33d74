"""Reads checkpoints and pairs; writes the summary's NLL on clean and corrupted articles, example by example."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.pair_effect import write_effects

    write_effects(
        dict(zip(snakemake.params.checkpoints, snakemake.input.checkpoints, strict=True)),
        dict(zip(snakemake.params.corruptions, snakemake.input.pairs, strict=True)),
        snakemake.output[0],
    )
