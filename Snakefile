"""Rewire: how fine-tuning rewires a language model that learns to summarize.

snakemake --cores 8                                          the study of `runs:` in config/config.yaml
snakemake --cores 8 --configfile config/smoke.yaml           a preset on top of it
snakemake --cores 1 results/figures/small/newswire/heads.png one figure
"""


configfile: "config/config.yaml"
configfile: "config/claims.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/paths.smk"


wildcard_constraints:
    model=names(MODELS),
    dataset=names(DATASETS),
    split=names(SPLITS),
    corruption=names(CORRUPTIONS),
    checkpoint=names(
        sorted({name for model in MODELS for name in checkpoints(model)} | ADAPTED)
    ),
    strategy=names(STRATEGIES),
    study=names(STUDIES),
    seed=r"\d+",


resource_scopes:
    gpu="local",


localrules:
    all,
    articles,
    downloads,
    trained,
    pairs,
    differential,
    circuits,
    faithfulness,
    evolution,
    robustness,
    summaries,
    bakeoff,
    probes,
    sequential,
    sequential_faithfulness,
    everything,
    figures,
    claims,


made = any(path.is_dir() for path in Path("results").glob("*"))
if workflow.is_main_process and made and not os.path.isdir(".snakemake/metadata"):
    logger.warning(
        "results: made elsewhere, without .snakemake/metadata, which says with what config and code each file was made: "
        "changes of either since then cannot be seen. Copy .snakemake along, or make all again with --forceall"
    )


onstart:
    if os.path.isdir("results") and not os.access("results", os.W_OK):
        raise WorkflowError(
            "results: the folder is read-only, nothing can be written"
        )


include: "workflow/rules/resources.smk"
include: "workflow/rules/articles.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/pairs.smk"
include: "workflow/rules/sums.smk"
include: "workflow/rules/differential.smk"
include: "workflow/rules/circuits.smk"
include: "workflow/rules/faithfulness.smk"
include: "workflow/rules/evolution.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/summaries.smk"
include: "workflow/rules/lora.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/sequential.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/probe_figures.smk"
include: "workflow/rules/sequential_figures.smk"


rule all:
    """Target: the whole study, and the default: every circuit, every figure, the claims table, and what the bake-off cost."""
    default_target: True
    input:
        rules.circuits.input,
        rules.figures.input,
        rules.claims.input,
        rules.bakeoff.input,


rule everything:
    """Target: the whole study, the probes and sequential fine-tuning."""
    input:
        rules.all.input,
        rules.probes.input,
        rules.sequential.input,
        rules.sequential_faithfulness.input,
