"""Reads checkpoints and pair tables; writes how far circuits agree under other examples, noise and corruptions."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.robustness import write_robustness

    write_robustness(
        dict(zip(snakemake.params.checkpoints, snakemake.input.checkpoints, strict=True)),
        dict(zip(snakemake.params.corruptions, snakemake.input.pairs, strict=True)),
        snakemake.params.corruption,
        snakemake.params.circuits,
        snakemake.params.robustness,
        snakemake.output.agreement,
        snakemake.output.edges,
    )
