"""The LoRA bake-off: the same budget of trainable parameters in different places."""

LORA = "results/lora/{model}/{dataset}"
TRAINED_RUN = f"{LORA}/{{strategy}}/seed-{{seed}}"
BAKEOFF = f"{LORA}/bakeoff.parquet"
BAKEOFF_RUNS = f"{LORA}/runs.parquet"
ADAPTER_CIRCUITS = f"{LORA}/circuits.parquet"
STRATEGY_SUMMARIES = f"{LORA}/{{strategy}}/summaries.parquet"
RUN_LOGS = "logs/lora/{model}/{dataset}/{strategy}/seed-{seed}"
# seconds and peak memory: logs, so that nothing is trained again where they were cleared away
TUNING_COST = "logs/lora/{model}/{dataset}/{strategy}/tuning.cost.tsv"
TRAINING_COST = f"{RUN_LOGS}/training.cost.tsv"
CONTEST = [
    [strategy, seed] for strategy in STRATEGIES for seed in seeds_of(strategy)
]  # every run of the bake-off


for model in dict.fromkeys(model for model, _ in SUMMARIZING):
    known = described(model)
    layers = known.get("n_layer", known.get("num_hidden_layers"))
    for name, declared in config["lora"]["strategies"].items():
        if isinstance(layers, int) and (wrong := beyond(name, declared, layers)):
            raise WorkflowError(f"config: {wrong} ({model})")


def of_contest(pattern):
    """``pattern`` for every strategy and seed, in the order of CONTEST."""
    return [
        path
        for strategy, seed in CONTEST
        for path in expand(pattern, strategy=strategy, seed=seed, allow_missing=True)
    ]


def adapters_of_strategy(wildcards):
    """What every seed of the wildcards' strategy trained, in the order of its seeds."""
    return expand(
        f"{TRAINED_RUN}/adapter",
        model=wildcards.model,
        dataset=wildcards.dataset,
        strategy=wildcards.strategy,
        seed=seeds_of(wildcards.strategy),
    )


DRAWN = [name for name in STRATEGIES if is_drawn(config["lora"]["strategies"][name])]
LATER = names([str(seed) for _, seed in CONTEST if seed != SEEDS[0]])


def criticality_asked(wildcards):
    """The table of critical layers, for a strategy that asks for it."""
    declared = config["lora"]["strategies"][wildcards.strategy]
    return [f"{LORA}/criticality.parquet"] if needs_criticality(declared) else []


def lora_settings(wildcards):
    """The section as training one strategy reads it: what it does not read does not train it again."""
    declared = config["lora"]["strategies"][wildcards.strategy]
    unread = {"seeds", "strategies", "alpha"}
    if "count" in declared or "heads" not in declared:
        unread.add("critical_heads")
    if "count" in declared or not needs_count(declared):
        unread.add("critical_layers")
    if "rank" in declared:
        unread |= {"rank", "target_modules"} if "modules" in declared else {"rank"}
    if not declared.get("adapter", True):
        unread |= {"rank", "target_modules", "alpha_per_rank", "dropout"}
    own = MODELS[wildcards.model].get("target_modules")
    settings = config["lora"] | ({} if own is None else {"target_modules": own})
    values = {k: v for k, v in settings.items() if k not in unread}
    kept = {key: value for key, value in declared.items() if key != "draws"}
    return ordered(values | {"strategies": {wildcards.strategy: kept}})


def rate_chosen(wildcards):
    """The same without the grid of learning rates: a run takes the one that was chosen."""
    settings = lora_settings(wildcards)
    return {key: settings[key] for key in settings if key != "learning_rates"}


rule rank_layers:
    """How much each layer and head changed in fine-tuning, by the differential analysis and by the circuit."""
    input:
        differential=last_checkpoint(f"{DIFFERENTIAL}/critical_layers.parquet"),
        before="results/circuits/{model}/{dataset}/base/scores.safetensors",
        after=last_checkpoint(f"{CIRCUIT}/scores.safetensors"),
    output:
        f"{LORA}/criticality.parquet",
    log:
        "logs/lora/{model}/{dataset}/criticality.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(circuits=2),
    params:
        code=code("lora_criticality.py"),
    script:
        "../scripts/lora_criticality.py"


rule tune_strategy:
    """The first seed at every learning rate of the grid; the best by validation loss is kept."""
    input:
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        criticality=criticality_asked,
    output:
        adapter=directory(f"{LORA}/{{strategy}}/seed-{SEEDS[0]}/adapter"),
        tuning=f"{LORA}/{{strategy}}/tuning.parquet",
        checkpoint=directory(f"{CELL}/lora-{{strategy}}"),
    log:
        "logs/lora/{model}/{dataset}/{strategy}/tuning.log",
        cost=TUNING_COST,
    benchmark:
        "logs/lora/{model}/{dataset}/{strategy}/tuning.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **training(
            lambda wildcards: config["lora"]["training"],
            runs=len(config["lora"]["learning_rates"]),
        ),
    params:
        code=code("lora_tune.py"),
        threads=computing(threads_of),
        lora=lora_settings,
        seed=SEEDS[0],
        draw=0,
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        work=f"{LORA}/{{strategy}}/.tuning",
    script:
        "../scripts/lora_tune.py"


rule tune_draw:
    """A later seed of a strategy whose layers are drawn: another adapter, so it has learning rates of its own."""
    input:
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        criticality=criticality_asked,
    output:
        adapter=directory(f"{TRAINED_RUN}/adapter"),
        tuning=f"{TRAINED_RUN}/tuning.parquet",
    log:
        f"{RUN_LOGS}/adapter.log",
        cost=TRAINING_COST,
    benchmark:
        f"{RUN_LOGS}/adapter.benchmark.tsv"
    wildcard_constraints:
        strategy=names(DRAWN),
        seed=LATER,
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **training(
            lambda wildcards: config["lora"]["training"],
            runs=len(config["lora"]["learning_rates"]),
        ),
    params:
        code=code("lora_tune.py"),
        threads=computing(threads_of),
        lora=lora_settings,
        seed=lambda wildcards: int(wildcards.seed),
        draw=lambda wildcards: seeds_of(wildcards.strategy).index(int(wildcards.seed)),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        work=f"{TRAINED_RUN}/.tuning",
    script:
        "../scripts/lora_tune.py"


rule train_adapter:
    """One strategy, one seed, at the learning rate that was tuned: a PEFT adapter, its training table and its plan."""
    input:
        base=f"{CELL}/base",
        train="results/articles/{dataset}/train.parquet",
        validation="results/articles/{dataset}/validation.parquet",
        criticality=criticality_asked,
        tuning=f"{LORA}/{{strategy}}/tuning.parquet",
    output:
        adapter=directory(f"{TRAINED_RUN}/adapter"),
    log:
        f"{RUN_LOGS}/adapter.log",
        cost=TRAINING_COST,
    benchmark:
        f"{RUN_LOGS}/adapter.benchmark.tsv"
    wildcard_constraints:
        strategy=names([name for name in STRATEGIES if name not in DRAWN]),
        seed=LATER,
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **training(lambda wildcards: config["lora"]["training"]),
    params:
        code=code("lora_adapter.py"),
        threads=computing(threads_of),
        lora=rate_chosen,
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
        work=f"{TRAINED_RUN}/.training",
    script:
        "../scripts/lora_adapter.py"


rule summarize_adapters:
    """Summaries by what every seed of a strategy trained, and their measures: one job, since starting takes the time."""
    input:
        checkpoint=f"{CELL}/base",
        adapters=adapters_of_strategy,
        articles=HELD_OUT,
    output:
        STRATEGY_SUMMARIES,
    log:
        "logs/lora/{model}/{dataset}/{strategy}/summaries.log",
    benchmark:
        "logs/lora/{model}/{dataset}/{strategy}/summaries.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **generating(lambda wildcards: len(seeds_of(wildcards.strategy))),
    params:
        code=code("lora_summaries.py"),
        threads=computing(threads_of),
        seeds=lambda wildcards: seeds_of(wildcards.strategy),
        summaries=section("summaries"),
        language=lambda wildcards: DATASETS[wildcards.dataset]["language"],
    script:
        "../scripts/lora_summaries.py"


rule hold_bakeoff:
    """Every strategy's measures with intervals, against standard and random."""
    input:
        summaries=expand(STRATEGY_SUMMARIES, strategy=STRATEGIES, allow_missing=True),
        adapters=of_contest(f"{TRAINED_RUN}/adapter"),
        base="results/summaries/{model}/{dataset}/base.parquet",
    output:
        table=BAKEOFF,
        runs=BAKEOFF_RUNS,
    log:
        "logs/lora/{model}/{dataset}/bakeoff.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("bakeoff.py"),
        strategies=STRATEGIES,
        runs=CONTEST,
        alpha=config["lora"]["alpha"],
    script:
        "../scripts/bakeoff.py"


rule add_costs:
    """Seconds and peak memory of every training run: no result, since no two runs of it are alike."""
    input:
        of_contest(f"{TRAINED_RUN}/adapter"),
    output:
        "logs/lora/{model}/{dataset}/costs.tsv",
    log:
        "logs/lora/{model}/{dataset}/costs.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("lora_costs.py"),
        costs=[
            (TUNING_COST if seed == SEEDS[0] else TRAINING_COST)
            .replace("{strategy}", strategy)
            .replace("{seed}", str(seed))
            for strategy, seed in CONTEST
        ],
    script:
        "../scripts/lora_costs.py"


rule compare_adapted_circuits:
    """Whether LoRA ends in the circuit of full fine-tuning: every strategy's circuit against base, last and one another."""
    input:
        base="results/circuits/{model}/{dataset}/base/scores.safetensors",
        last=last_checkpoint(f"{CIRCUIT}/scores.safetensors"),
        adapted=expand(
            f"{CIRCUIT}/scores.safetensors",
            checkpoint=[f"lora-{strategy}" for strategy in STRATEGIES],
            allow_missing=True,
        ),
    output:
        ADAPTER_CIRCUITS,
    log:
        "logs/lora/{model}/{dataset}/circuits.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(circuits=2 + len(STRATEGIES), minutes=240),
    params:
        code=code("lora_circuits.py"),
        models=lambda wildcards: ["base", last(wildcards.model), *STRATEGIES],
        evolution=section("evolution", "fraction", "random", "resamples", "seed"),
    script:
        "../scripts/lora_circuits.py"


rule bakeoff:
    """Target: the LoRA bake-off of every run, what it cost, and the circuits it ended in."""
    input:
        cells(BAKEOFF, SUMMARIZING),
        cells(ADAPTER_CIRCUITS, SUMMARIZING),
        cells("logs/lora/{model}/{dataset}/costs.tsv", SUMMARIZING),
