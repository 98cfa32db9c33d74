"""What the runs of sequential fine-tuning say together, and its figures: results/figures/{model}/sequential/{figure}.png"""

SHOWN_LOG = "logs/figures/{model}/sequential"


def sequential_figure(name):
    """Output of a figure of one model; the PNG goes into the report with its caption."""
    stem = SHOWN.replace("{name}", name)
    png = report(
        f"{stem}.png",
        caption=f"../report/sequential_{name}.rst",
        category="Sequential fine-tuning",
        subcategory="{model}",
        labels={"figure": name},
    )
    return {"png": png, "svg": f"{stem}.svg"}


def composite_tasks():
    """Every composite and part, once."""
    return list(dict.fromkeys(t for name in COMPOSED for t in (name, *COMPOSED[name])))


rule regress_forgetting:
    """Forgetting against overlap over pairs: line, logistic curve, ranks."""
    input:
        pairs=f"{OF_MODEL}/pairs.parquet",
    output:
        f"{OF_MODEL}/regression.parquet",
    log:
        "logs/sequential/{model}/regression.log",
    benchmark:
        "logs/sequential/{model}/regression.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("sequential_regression.py"),
        sequential=section("sequential", "seed"),
    script:
        "../scripts/sequential_regression.py"


rule combine_circuits:
    """Union, intersection and difference of two tasks' circuits on the task that is made of both."""
    input:
        base=f"{OF_MODEL}/base",
        models=expand(f"{OF_RUN}/checkpoints", run=sorted(COMPOSED), allow_missing=True),
        alone=expand(
            f"{OF_RUN}/circuits",
            run=sorted({part for parts in COMPOSED.values() for part in parts}),
            allow_missing=True,
        ),
        validation=expand(
            TASK_SPLIT, task=composite_tasks(), split="validation", allow_missing=True
        ),
        test=expand(
            TASK_SPLIT, task=composite_tasks(), split="test", allow_missing=True
        ),
    output:
        table=f"{OF_MODEL}/algebra.parquet",
        circuits=directory(f"{OF_MODEL}/combined"),
    log:
        "logs/sequential/{model}/algebra.log",
    benchmark:
        "logs/sequential/{model}/algebra.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **measuring_run(PASSES * len(COMPOSED) * 4),
    params:
        code=code("sequential_algebra.py"),
        threads=computing(threads_of),
        composites=ordered(COMPOSED),
        tasks=composite_tasks(),
        step=LAST_STEP,
        sequential=measuring_circuits(),
    script:
        "../scripts/sequential_algebra.py"


rule grow_circuit:
    """The circuit of a task that was learned alone, at every share of edges."""
    input:
        base=f"{OF_MODEL}/base",
        checkpoints=f"{OF_RUN}/checkpoints",
        circuits=f"{OF_RUN}/circuits",
        test=TASK_SPLIT.replace("{task}", "{run}").replace("{split}", "test"),
    output:
        f"{OF_RUN}/curve.parquet",
    log:
        f"{RUN_LOG}/curve.log",
    benchmark:
        f"{RUN_LOG}/curve.benchmark.tsv"
    wildcard_constraints:
        run=names(sorted({*every_task(SECTION)} - {SUMMARIZATION})),
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **measuring_run(PASSES * len(config["faithfulness"]["fractions"])),
    params:
        code=code("sequential_curve.py"),
        threads=computing(threads_of),
        step=LAST_STEP,
        sequential=ordered(measuring_circuits() | section("faithfulness", "fractions")),
    script:
        "../scripts/sequential_curve.py"


rule judge_sequential_claims:
    """One row a model and claim on sequential fine-tuning."""
    input:
        tables=[
            f"{OF_MODEL}/{name}.parquet".format(model=model)
            for model in SECTION["models"]
            for name in JUDGED_ON.values()
        ],
    output:
        parquet="results/sequential/claims.parquet",
        tsv="results/sequential/claims.tsv",
    log:
        "logs/sequential/claims.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("claims.py"),
        claims=claims_of("sequential"),
        runs=[[model, "tasks"] for model in SECTION["models"]],
        tables=[list(JUDGED_ON) for _ in SECTION["models"]],
        identities=ordered(
            {m: MODELS[m]["id"] for m in SECTION["models"] if "id" in MODELS[m]}
        ),
        data_identities={},
        judged=SECTION["judged"],
    script:
        "../scripts/claims.py"


rule draw_sequential_claims:
    """Published claims on sequential fine-tuning beside our numbers."""
    input:
        table=rules.judge_sequential_claims.output.parquet,
    output:
        png=report(
            "results/figures/sequential_claims.png",
            caption="../report/claims.rst",
            category="Sequential fine-tuning",
            labels={"figure": "claims"},
        ),
        svg="results/figures/sequential_claims.svg",
    log:
        "logs/figures/sequential_claims.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_claims.py"),
    script:
        "../scripts/figure_claims.py"


rule draw_sequential_accuracy:
    """Accuracy of both tasks over both stages."""
    input:
        table=f"{OF_MODEL}/checkpoints.parquet",
    output:
        **sequential_figure("accuracy"),
    log:
        f"{SHOWN_LOG}/accuracy.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_sequential_accuracy.py"),
    script:
        "../scripts/figure_sequential_accuracy.py"


rule draw_sequential_changes:
    """Change of nodes and edges from checkpoint to checkpoint, beside the noise floor."""
    input:
        table=f"{OF_MODEL}/changes.parquet",
    output:
        **sequential_figure("changes"),
    log:
        f"{SHOWN_LOG}/changes.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_sequential_changes.py"),
    script:
        "../scripts/figure_sequential_changes.py"


rule draw_sequential_heatmaps:
    """Task by task: overlap of circuits, one task's circuit on the other, forgetting."""
    input:
        table=f"{OF_MODEL}/pairs.parquet",
    output:
        **sequential_figure("heatmaps"),
    log:
        f"{SHOWN_LOG}/heatmaps.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_sequential_heatmaps.py"),
    script:
        "../scripts/figure_sequential_heatmaps.py"


rule draw_sequential_forgetting:
    """Forgetting against overlap, with the fits."""
    input:
        table=f"{OF_MODEL}/pairs.parquet",
        fits=f"{OF_MODEL}/regression.parquet",
    output:
        **sequential_figure("forgetting"),
    log:
        f"{SHOWN_LOG}/forgetting.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_sequential_forgetting.py"),
        seed=SECTION["seed"],
    script:
        "../scripts/figure_sequential_forgetting.py"


rule draw_sequential_masked:
    """Forgetting and accuracy where a side of the first task's circuit alone is trained."""
    input:
        table=f"{OF_MODEL}/pairs.parquet",
    output:
        **sequential_figure("masked"),
    log:
        f"{SHOWN_LOG}/masked.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_sequential_masked.py"),
        sides=masked(SECTION)[0],
        others=masked(SECTION)[1],
    script:
        "../scripts/figure_sequential_masked.py"
