"""Prompt pairs of which parts of two runs are exchanged or read, on chosen checkpoints; and one checkpoint's parts in another.

A checkpoint belongs to a dataset, so that results are under results/probes/{model}/{dataset}/{checkpoint}/{study}.
"""

PROBES = "results/probes/{model}/{dataset}/{checkpoint}/{study}"
PROBE_LOG = "logs/probes/{model}/{dataset}/{checkpoint}/{study}"
CROSS_STUDY = "results/probes/{model}/{dataset}/cross-model/{study}"
CROSS_PAIRS = "results/probes/{model}/{dataset}/cross-model-pairs"
READINGS = (
    "direct",
    "lens",
    "attention",
    "outputs",
    "key_tokens",
    "baselines",
    "patterns",
)
CROSSING = ordered(config["probes"]["cross_model"] | section("probes", "batch_tokens"))


rule patch_study:
    """Every site of every layer, set to its value in the clean run."""
    input:
        checkpoint=FOLDER,
        study=study_file,
    output:
        prompts=f"{PROBES}/prompts.parquet",
        patches=f"{PROBES}/patches.parquet",
        summary=f"{PROBES}/summary.parquet",
    log:
        f"{PROBE_LOG}/patches.log",
    benchmark:
        f"{PROBE_LOG}/patches.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("probes", passes=200, kept=FORWARD),
    params:
        code=code("probes_patches.py"),
        threads=computing(threads_of),
        probes=probing(
            "components", "heads", "batch_tokens", of_study=["head_positions"]
        ),
    script:
        "../scripts/probes_patches.py"


rule patch_neurons:
    """Every neuron of chosen layers, patched alone."""
    input:
        checkpoint=FOLDER,
        study=study_file,
    output:
        neurons=f"{PROBES}/neurons.parquet",
        examples=f"{PROBES}/neuron_examples.parquet",
    log:
        f"{PROBE_LOG}/neurons.log",
    benchmark:
        f"{PROBE_LOG}/neurons.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("probes", passes=1000, kept=FORWARD),
    params:
        code=code("probes_neurons.py"),
        threads=computing(threads_of),
        probes=probing("top", "tokens", "batch_tokens", of_study=["layers", "position"]),
    script:
        "../scripts/probes_neurons.py"


rule read_study:
    """Direct attribution, logit lens, attention and baselines; the leading heads read closely."""
    input:
        checkpoint=FOLDER,
        study=study_file,
        patches=f"{PROBES}/summary.parquet",
    output:
        **{name: f"{PROBES}/{name}.parquet" for name in READINGS},
        summary=f"{PROBES}/readings.parquet",
    log:
        f"{PROBE_LOG}/readings.log",
    benchmark:
        f"{PROBE_LOG}/readings.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("probes", passes=4, kept=FORWARD),
    params:
        code=code("probes_readings.py"),
        threads=computing(threads_of),
        probes=probing("top_heads", "keys", "batch_tokens", of_study=["labels"]),
    script:
        "../scripts/probes_readings.py"


rule compare_groups:
    """Which groups of a study use the same parts, and in which parts they agree and differ."""
    input:
        summary=f"{PROBES}/summary.parquet",
        neurons=f"{PROBES}/neurons.parquet",
        readings=f"{PROBES}/readings.parquet",
    output:
        pairings=f"{PROBES}/pairings.parquet",
        agreement=f"{PROBES}/agreement.parquet",
    log:
        f"{PROBE_LOG}/comparison.log",
    benchmark:
        f"{PROBE_LOG}/comparison.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("probes_comparison.py"),
    script:
        "../scripts/probes_comparison.py"


rule cross_study:
    """The base with the last checkpoint's activations and back, on a study's prompts."""
    input:
        base=f"{CELL}/base",
        finetuned=last_checkpoint(FOLDER),
        study=study_file,
    output:
        examples=f"{CROSS_STUDY}/examples.parquet",
        summary=f"{CROSS_STUDY}/summary.parquet",
    log:
        "logs/probes/{model}/{dataset}/cross-model/{study}.log",
    benchmark:
        "logs/probes/{model}/{dataset}/cross-model/{study}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("probes", passes=200, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        code=code("probes_cross_study.py"),
        threads=computing(threads_of),
        probes=CROSSING,
    script:
        "../scripts/probes_cross_study.py"


rule cross_pairs:
    """The same on the clean articles of the pairs."""
    input:
        base=f"{CELL}/base",
        finetuned=last_checkpoint(FOLDER),
        pairs=CLEAN_PAIRS,
    output:
        examples=f"{CROSS_PAIRS}/examples.parquet",
        summary=f"{CROSS_PAIRS}/summary.parquet",
    log:
        "logs/probes/{model}/{dataset}/cross-model-pairs.log",
    benchmark:
        "logs/probes/{model}/{dataset}/cross-model-pairs.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("probes", passes=200, copies=WEIGHTS_COMPARED, kept=FORWARD),
    params:
        code=code("probes_cross_pairs.py"),
        threads=computing(threads_of),
        probes=CROSSING,
    script:
        "../scripts/probes_cross_pairs.py"
