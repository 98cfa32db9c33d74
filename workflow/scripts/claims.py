"""Reads the tables of all runs; writes each published claim beside our number, with a verdict."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.claims import write_claims

    runs = [tuple(run) for run in snakemake.params.runs]
    tables = {
        run: {table: snakemake.input.get(table)[number] for table in snakemake.params.tables}
        for number, run in enumerate(runs)
    }
    write_claims(
        tables,
        snakemake.params.claims,
        snakemake.output.parquet,
        snakemake.output.tsv,
        snakemake.params.identities,
    )
