"""Every figure of every run: results/figures/{model}/{dataset}/{figure}.png, and .svg beside it."""

OF_BAKEOFF = [
    "bakeoff",
    "bakeoff_losses",
    "bakeoff_parameters",
    "bakeoff_circuits",
]
FIGURES = [
    "training",
    "pairs",
    "layers",
    "heads",
    "critical_layers",
    "neurons",
    "trajectories",
    "faithfulness",
    "areas",
    "criteria",
    "evolution",
    "evolution_layers",
    "edge_centric",
    "circuit_evolution",
    "robustness",
    "circuit",
    *OF_BAKEOFF,
]


rule draw_training:
    """Losses, learning rate and gradient norm of the fine-tuning."""
    input:
        table=f"{CELL}/training.parquet",
    output:
        **reported("training", "Training"),
    log:
        "logs/figures/{model}/{dataset}/training.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_training.py"),
        title=title,
    script:
        "../scripts/figure_training.py"


rule draw_pairs:
    """How much each corruption hurts, and how far the circuits agree that they give."""
    input:
        effects="results/pairs/{model}/{dataset}/effect.parquet",
        agreement=AGREEMENT,
    output:
        **reported("pairs", "Pairs"),
    log:
        "logs/figures/{model}/{dataset}/pairs.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_pairs.py"),
        title=title,
    script:
        "../scripts/figure_pairs.py"


rule draw_layers:
    """What changes in which layer, over the checkpoints."""
    input:
        summaries=of_checkpoints(f"{DIFFERENTIAL}/summary.parquet", tuned),
    output:
        **reported("layers", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/layers.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_layers.py"),
        title=title,
        checkpoints=lambda wildcards: tuned(wildcards.model),
        steps=lambda wildcards: ordered(training_steps(wildcards.model)),
    script:
        "../scripts/figure_layers.py"


rule draw_heads:
    """Change and divergence of every head's attention, at the last checkpoint."""
    input:
        summary=last_checkpoint(f"{DIFFERENTIAL}/summary.parquet"),
    output:
        **reported("heads", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/heads.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_heads.py"),
        title=title,
        checkpoint=lambda wildcards: last(wildcards.model),
    script:
        "../scripts/figure_heads.py"


rule draw_critical_layers:
    """Which layers changed most, by the differential analysis and by the circuit."""
    input:
        criticality=f"{LORA}/criticality.parquet",
    output:
        **reported("critical_layers", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/critical_layers.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_critical_layers.py"),
        title=title,
        checkpoint=lambda wildcards: last(wildcards.model),
    script:
        "../scripts/figure_critical_layers.py"


rule draw_neurons:
    """Which MLP neurons changed, at the last checkpoint."""
    input:
        neurons=last_checkpoint(f"{DIFFERENTIAL}/neurons.parquet"),
    output:
        **reported("neurons", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/neurons.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_neurons.py"),
        title=title,
        checkpoint=lambda wildcards: last(wildcards.model),
        top=config["differential"]["top_neurons"],
    script:
        "../scripts/figure_neurons.py"


rule draw_trajectories:
    """Every measure of the differential analysis against the training step."""
    input:
        table=TRAJECTORIES,
    output:
        **reported("trajectories", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/trajectories.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_trajectories.py"),
        title=title,
        named=lambda wildcards: wildcards.model in PUBLISHED,
    script:
        "../scripts/figure_trajectories.py"


rule draw_three_way:
    """Base, fine-tuned and LoRA model side by side."""
    input:
        table=THREE_WAY,
    output:
        **reported("three_way", "Differential"),
    log:
        "logs/figures/{model}/{dataset}/three_way.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_three_way.py"),
        title=title,
    script:
        "../scripts/figure_three_way.py"


rule draw_faithfulness:
    """Faithfulness against circuit size, with random circuits and another task's circuit."""
    input:
        tables=of_checkpoints(FAITHFULNESS),
    output:
        **reported("faithfulness", "Faithfulness"),
    log:
        "logs/figures/{model}/{dataset}/faithfulness.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_faithfulness.py"),
        title=title,
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
        steps=lambda wildcards: ordered(training_steps(wildcards.model)),
    script:
        "../scripts/figure_faithfulness.py"


rule draw_areas:
    """CPR and CMD over the checkpoints."""
    input:
        tables=of_checkpoints(AREAS),
    output:
        **reported("areas", "Faithfulness"),
    log:
        "logs/figures/{model}/{dataset}/areas.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_areas.py"),
        title=title,
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
        steps=lambda wildcards: ordered(training_steps(wildcards.model)),
    script:
        "../scripts/figure_areas.py"


rule draw_criteria:
    """Necessity, completeness and minimality of the base's and the last checkpoint's circuit."""
    input:
        tables=of_checkpoints(CRITERIA, lambda model: ["base", last(model)]),
    output:
        **reported("criteria", "Faithfulness"),
    log:
        "logs/figures/{model}/{dataset}/criteria.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_criteria.py"),
        title=title,
        checkpoints=lambda wildcards: ["base", last(wildcards.model)],
    script:
        "../scripts/figure_criteria.py"


rule draw_evolution:
    """What is left of the circuit, beside the noise floor and random circuits."""
    input:
        table=EVOLUTION_CHANGES,
    output:
        **reported("evolution", "Evolution"),
    log:
        "logs/figures/{model}/{dataset}/evolution.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_evolution.py"),
        title=title,
        named=lambda wildcards: wildcards.model in PUBLISHED,
    script:
        "../scripts/figure_evolution.py"


rule draw_evolution_layers:
    """Edges born and lost, and between which layers."""
    input:
        circuits=EVOLUTION,
        layers=EVOLUTION_LAYERS,
    output:
        **reported("evolution_layers", "Evolution"),
    log:
        "logs/figures/{model}/{dataset}/evolution_layers.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_evolution_layers.py"),
        title=title,
        named=lambda wildcards: wildcards.model in PUBLISHED,
    script:
        "../scripts/figure_evolution_layers.py"


rule draw_edge_centric:
    """Whether edges change more than nodes."""
    input:
        table=EDGE_CENTRIC,
    output:
        **reported("edge_centric", "Evolution"),
    log:
        "logs/figures/{model}/{dataset}/edge_centric.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_edge_centric.py"),
        title=title,
        named=lambda wildcards: wildcards.model in PUBLISHED,
    script:
        "../scripts/figure_edge_centric.py"


rule draw_circuit_evolution:
    """The circuits that the evolution compares, side by side."""
    input:
        edges=EVOLUTION_EDGES,
    output:
        **reported("circuit_evolution", "Evolution"),
    log:
        "logs/figures/{model}/{dataset}/circuit_evolution.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_circuit_evolution.py"),
        title=title,
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
        steps=lambda wildcards: ordered(training_steps(wildcards.model)),
    script:
        "../scripts/figure_circuit_evolution.py"


rule draw_robustness:
    """How far circuits agree under other examples and noise, and how often resamples find each edge."""
    input:
        agreement=AGREEMENT,
        edges=INCLUSION,
    output:
        **reported("robustness", "Robustness"),
    log:
        "logs/figures/{model}/{dataset}/robustness.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_robustness.py"),
        title=title,
    script:
        "../scripts/figure_robustness.py"


rule draw_circuit:
    """The last checkpoint's circuit."""
    input:
        circuit=of_checkpoints(f"{CIRCUIT}/circuit.json", lambda model: [last(model)]),
    output:
        **reported("circuit", "Circuits"),
    log:
        "logs/figures/{model}/{dataset}/circuit.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_circuit.py"),
        title=title,
    script:
        "../scripts/figure_circuit.py"


rule draw_bakeoff:
    """ROUGE and facts of every LoRA strategy, and their difference from the standard one."""
    input:
        bakeoff=BAKEOFF,
        runs=BAKEOFF_RUNS,
    output:
        **reported("bakeoff", "LoRA"),
    log:
        "logs/figures/{model}/{dataset}/bakeoff.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_bakeoff.py"),
        title=title,
    script:
        "../scripts/figure_bakeoff.py"


rule draw_bakeoff_losses:
    """Validation loss of every LoRA strategy against the training step, and how its learning rate was tuned."""
    input:
        bakeoff=BAKEOFF,
        runs=BAKEOFF_RUNS,
        adapters=of_contest(f"{TRAINED_RUN}/adapter"),
        tuning=expand(
            f"{LORA}/{{strategy}}/tuning.parquet",
            strategy=STRATEGIES,
            allow_missing=True,
        ),
    output:
        **reported("bakeoff_losses", "LoRA"),
    log:
        "logs/figures/{model}/{dataset}/bakeoff_losses.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_bakeoff_losses.py"),
        title=title,
        runs=CONTEST,
    script:
        "../scripts/figure_bakeoff_losses.py"


rule draw_bakeoff_parameters:
    """Quality of every LoRA strategy against its trainable parameters."""
    input:
        bakeoff=BAKEOFF,
        runs=BAKEOFF_RUNS,
    output:
        **reported("bakeoff_parameters", "LoRA"),
    log:
        "logs/figures/{model}/{dataset}/bakeoff_parameters.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_bakeoff_parameters.py"),
        title=title,
    script:
        "../scripts/figure_bakeoff_parameters.py"


rule draw_bakeoff_circuits:
    """The circuits that LoRA ends in, beside those of base and full fine-tuning."""
    input:
        table=ADAPTER_CIRCUITS,
    output:
        **reported("bakeoff_circuits", "LoRA"),
    log:
        "logs/figures/{model}/{dataset}/bakeoff_circuits.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_bakeoff_circuits.py"),
        title=title,
    script:
        "../scripts/figure_bakeoff_circuits.py"


rule draw_claims:
    """The table of claims as a picture."""
    input:
        table="results/claims.parquet",
    output:
        png=report(
            "results/figures/claims.png",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "claims"},
        ),
        svg="results/figures/claims.svg",
    log:
        "logs/figures/claims.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_claims.py"),
    script:
        "../scripts/figure_claims.py"


rule figures:
    """Target: every figure."""
    input:
        lambda wildcards: [
            f"results/figures/{m}/{d}/{name}.png"
            for m, d in RUNS
            for name in figures_of(m, d, FIGURES)
        ],
        [f"results/figures/{m}/{d}/three_way.png" for m, d in THREE_WAY_RUNS],
        rules.draw_claims.output,
