"""Reads the differential tables of fine-tuning, of LoRA, and of one against the other; writes them side by side."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.differential.three_way import SIDES, write_three_way

    write_three_way(
        {name: tuple(snakemake.input[name]) for name in SIDES},
        snakemake.params.permutations,
        snakemake.output[0],
    )
