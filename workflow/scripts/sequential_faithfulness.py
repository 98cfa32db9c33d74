"""Reads a model that learned a task, and its edge scores; writes its circuits' faithfulness, areas and criteria."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from pathlib import Path

    from rewire.faithfulness.criteria import write_criteria
    from rewire.faithfulness.curve import write_faithfulness

    given, params, written = snakemake.input, snakemake.params, snakemake.output
    checkpoint = Path(given.checkpoints, params.step)
    scores = Path(given.circuits, snakemake.wildcards.run, f"{params.step}.safetensors")
    how = params.circuits, params.faithfulness
    write_faithfulness(checkpoint, given.validation, None, scores, *how, written.curve, written.areas)
    write_criteria(checkpoint, given.validation, scores, *how, written.criteria)
