"""Reads a checkpoint and pairs; writes the score of every edge and the circuit selected from them."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.circuit_stage import find_circuit

    find_circuit(
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.params.circuits,
        snakemake.output.scores,
        snakemake.output.circuit,
    )
