"""Reads what each training run cost; writes one table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.cost_table import read_costs, write_costs

    files = [*snakemake.input.tuning, *snakemake.input.training]
    write_costs(snakemake.output[0], [row for file in files for row in read_costs(file)])
