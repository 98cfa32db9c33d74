"""The smoke run: the default run's graph of jobs at its smallest, through Snakemake."""

import json
import xml.etree.ElementTree

import pyarrow.parquet as pq
import pytest
import yaml

FIGURES = (
    "training",
    "pairs",
    "layers",
    "heads",
    "critical_layers",
    "neurons",
    "trajectories",
    "three_way",
    "faithfulness",
    "areas",
    "criteria",
    "robustness",
    "evolution",
    "evolution_layers",
    "edge_centric",
    "circuit",
    "circuit_evolution",
    "bakeoff",
    "bakeoff_losses",
    "bakeoff_parameters",
    "bakeoff_circuits",
)
PROBE_FIGURES = ("positions", "heads", "neurons", "logits", "attention", "patterns", "pairings", "agreement")
STRATEGIES = ("full", "standard", "targeted", "circuit", "random")
CELL = "small/newswire"


def test_every_output_is_there(smoke):
    results = smoke.folder / "results"
    for name in FIGURES:
        png = results / "figures" / CELL / f"{name}.png"
        assert png.read_bytes().startswith(b"\x89PNG") and png.stat().st_size > 10_000, name
        xml.etree.ElementTree.parse(png.with_suffix(".svg"))
    assert (results / "figures" / "claims.png").is_file()
    claims = pq.read_table(results / "claims.parquet").to_pylist()
    verdicts = {row["verdict"] for row in claims}
    assert verdicts <= {"supported", "not supported", "inconclusive", "not run"} and len(claims) >= 12
    assert next(r for r in claims if r["claim"] == "gpt2-attention-kl-peak")["verdict"] == "not run"
    assert (results / "claims.tsv").read_text().count("\n") == len(claims) + 1


def test_checkpoints_load_and_tables_have_every_step(smoke):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smoke.folder / "results" / "checkpoints" / CELL
    for name in ("base", "step-000010", "final"):
        assert AutoModelForCausalLM.from_pretrained(folder / name).config.n_layer == 2
        assert AutoTokenizer.from_pretrained(folder / name).eos_token == "<|endoftext|>"
    table = pq.read_table(folder / "training.parquet").to_pandas()
    validated = table[table["validation_loss"].notna()]
    assert validated["step"].tolist() == list(range(0, 21, 2)) and table["step"].max() == 20
    assert not list(folder.glob(".*ing")), "an unfinished run was left behind"


def test_a_circuit_is_in_the_published_format(smoke):
    content = json.loads((smoke.folder / "results/circuits" / CELL / "final/circuit.json").read_text())
    assert content["cfg"] == {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 32}
    assert len(content["edges"]) == 46


def test_faithfulness_comes_with_its_nulls(smoke):
    folder = smoke.folder / "results/faithfulness" / CELL
    table = pq.read_table(folder / "final/curve.parquet").to_pandas()
    for fraction, rows in table[table["ranking"] == "absolute"].groupby("fraction"):
        kinds = rows.set_index("circuit")
        assert (rows["circuit"] == "random").sum() == 20, fraction
        assert (kinds.loc["random", "edges"] == kinds.loc["circuit", "edges"]).all()
        assert {"held-out", "other-task"} <= set(kinds.index)
    whole = table[(table["fraction"] == 1) & (table["circuit"] == "circuit")]
    assert whole["normalised"].to_numpy() == pytest.approx([1, 1], abs=1e-3) and (whole["edges"] == 46).all()
    areas = pq.read_table(folder / "step-000010/areas.parquet").to_pandas()
    assert areas.groupby("area").size().to_dict() == {"CPR": 23, "CMD": 23}
    criteria = pq.read_table(folder / "base/criteria.parquet").to_pandas()
    assert {"necessity", "completeness, random"} <= set(criteria["criterion"])
    assert sorted(path.parent.name for path in folder.glob("*/criteria.parquet")) == ["base", "final"]


def test_the_bakeoff_is_a_fair_contest(smoke):
    folder = smoke.folder / "results/lora" / CELL
    runs = pq.read_table(folder / "runs.parquet").to_pandas()
    assert runs.groupby("strategy")["seed"].apply(list).to_dict() == dict.fromkeys(STRATEGIES, [0, 1])
    adapted = runs[runs["strategy"] != "full"]["parameters"]
    reference = runs[runs["strategy"] == "standard"]["parameters"].iloc[0]
    assert ((adapted - reference).abs() <= 0.01 * reference).all()
    assert set(pq.read_table(folder / "bakeoff.parquet")["strategy"].to_pylist()) == {"base", *STRATEGIES}
    for strategy in STRATEGIES:
        tuning = pq.read_table(folder / strategy / "tuning.parquet").to_pylist()
        assert [row["learning_rate"] for row in tuning if row["chosen"]] == [0.004]
    costs = (smoke.folder / "logs/lora" / CELL / "costs.tsv").read_text().splitlines()
    assert len(costs) == 1 + 2 * len(STRATEGIES)


def test_adapters_are_standard_peft_ones(smoke):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    checkpoints = smoke.folder / "results/checkpoints" / CELL
    adapter = smoke.folder / "results/lora" / CELL / "circuit/seed-0/adapter"
    base = AutoModelForCausalLM.from_pretrained(checkpoints / "base")
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    same = AutoModelForCausalLM.from_pretrained(checkpoints / "lora-circuit").state_dict()
    assert all(value.allclose(same[name], atol=1e-6) for name, value in merged.items())


def test_adapted_models_go_through_the_stages_of_any_checkpoint(smoke):
    table = pq.read_table(smoke.folder / "results/lora" / CELL / "circuits.parquet").to_pandas()
    assert set(table["model"]) == {"final", *STRATEGIES} and {"base", "final"} <= set(table["reference"])
    target = f"results/faithfulness/{CELL}/lora-standard/curve.parquet"
    assert smoke.planned(target) == {"evaluate_circuit": 1}


def test_probes_and_their_figures_are_there(probed):
    figures = probed.folder / "results/figures" / CELL / "probes"
    names = [f"{checkpoint}/seen-name/{name}" for checkpoint in ("base", "final") for name in PROBE_FIGURES]
    for name in (*names, "cross-model/seen-name", "cross-model-pairs"):
        png = figures / f"{name}.png"
        assert png.read_bytes().startswith(b"\x89PNG") and png.stat().st_size > 10_000, name
        xml.etree.ElementTree.parse(png.with_suffix(".svg"))
    for checkpoint in ("base", "final"):
        page = (figures / checkpoint / "seen-name/interactive.html").read_text()
        assert f"seen-name, small ({checkpoint}) on newswire</title>" in page and "default-src 'none'" in page
    claims = pq.read_table(probed.folder / "results/probes/claims.parquet").to_pylist()
    assert len(claims) == 7 and {row["verdict"] for row in claims} == {"not run"}  # no GPT-2 here
    folder = probed.folder / "results/probes" / CELL
    agreement = pq.read_table(folder / "final/seen-name/agreement.parquet").to_pandas()
    assert {"layers", "heads", "components", "neurons", "attribution"} == set(agreement["sites"])
    base, final = (
        pq.read_table(folder / f"{name}/seen-name/summary.parquet").to_pandas() for name in ("base", "final")
    )
    assert len(base) == len(final) and set(base["group"]) == {"all", "at the start", "at the end"}
    assert (base["value"].to_numpy() != final["value"].to_numpy()).any()
    crossed = pq.read_table(folder / "cross-model-pairs/summary.parquet").to_pandas()
    own = pq.read_table(probed.folder / "results/pairs" / CELL / "effect.parquet").to_pandas()
    clean = own[(own["corruption"] == "mask")].groupby("checkpoint")["nll_clean"].mean()
    assert crossed["base"].to_numpy() == pytest.approx(clean["base"], rel=1e-4)
    assert crossed["finetuned"].to_numpy() == pytest.approx(clean["final"], rel=1e-4)


def test_one_figure_of_the_probes_is_a_target(probed):
    target = f"results/figures/{CELL}/probes/step-000010/seen-name/heads.png"
    assert probed.planned(target) == {"patch_study": 1, "draw_probe_heads": 1}
    assert probed.planned(f"results/probes/{CELL}/step-000010/seen-name/neurons.parquet") == {
        "patch_neurons": 1
    }


def test_a_second_run_has_nothing_to_do(smoke):
    done = smoke.snakemake()
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr


def test_a_deleted_figure_is_rebuilt_alone(smoke):
    target = f"results/figures/{CELL}/heads.png"
    before = (smoke.folder / target).read_bytes()
    (smoke.folder / target).unlink()
    assert smoke.planned(target) == {"draw_heads": 1}
    done = smoke.snakemake(target)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (smoke.folder / target).read_bytes() == before
    assert smoke.planned() == {}


def test_touched_sources_rebuild_nothing(smoke):
    touched = [
        file
        for part in (
            "Snakefile",
            "src/**/*.py",
            "workflow/**/*.*",
            "config/**/*.*",
            "envs/*.*",
            "profiles/**/*.*",
        )
        for file in smoke.folder.glob(part)
    ]
    assert {"Snakefile", "config.yaml", "heads.py", "seen-name.yaml"} <= {file.name for file in touched}
    for file in touched:
        file.touch()
    assert smoke.planned("everything") == {}


def test_an_edited_figure_module_redraws_that_figure_alone(smoke):
    module = smoke.folder / "src/rewire/figures/heads.py"
    text = module.read_text()
    try:
        module.write_text(text + "\n# edited\n")
        assert smoke.planned() == {"all": 1, "draw_heads": 1}
    finally:
        module.write_text(text)
    assert smoke.planned() == {}


def test_the_order_of_keys_rebuilds_nothing(smoke):
    """Of every file: the order in which Snakemake merges them is that of the file it reads first."""

    def turned(value):
        return {k: turned(value[k]) for k in reversed(value)} if isinstance(value, dict) else value

    files = [smoke.folder / "config" / name for name in ("config.yaml", "claims.yaml", "smoke.yaml")]
    texts = [file.read_text() for file in files]
    try:
        for file, text in zip(files, texts, strict=True):
            file.write_text(yaml.safe_dump(turned(yaml.safe_load(text)), sort_keys=False))
        assert smoke.planned("everything") == {}
    finally:
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)


def test_a_changed_setting_reruns_its_stage(smoke):
    content = yaml.safe_load((smoke.folder / "config/smoke.yaml").read_text())
    content["summaries"]["max_new_tokens"] += 1
    (smoke.folder / "config/changed.yaml").write_text(yaml.safe_dump(content))
    planned = smoke.planned(preset="config/changed.yaml")
    assert planned["summarize"] == 2 and planned["summarize_adapters"] == 5
    assert not {"pretrain", "finetune", "train_adapter", "find_scores", "build_pairs"} & set(planned)


def test_published_checkpoints_stand_in_for_training(smoke):
    """The smoke run's own folders serve as somebody's published models."""
    made = smoke.folder / "results/checkpoints" / CELL
    content = yaml.safe_load((smoke.folder / "config/smoke.yaml").read_text())
    content["models"]["published"] = {
        "source": "local",
        "path": str(made / "base"),
        "checkpoints": {"step-000010": str(made / "step-000010"), "final": str(made / "final")},
    }
    content["runs"] = [{"model": "published", "dataset": "newswire"}]
    preset = smoke.folder / "config/published.yaml"
    preset.write_text(yaml.safe_dump(content, sort_keys=False))
    planned = smoke.planned(preset="config/published.yaml")
    assert planned["copy_base"] == 1 and planned["copy_checkpoint"] == 2
    assert not {"pretrain", "finetune", "draw_training"} & set(planned)
    preset.write_text(preset.read_text().replace(f"{made}/final", "${MADE}/final"))
    assert "final: ${MADE}/final: the environment variable MADE is not set" in smoke.refused(
        preset="config/published.yaml"
    )
    target = "results/evolution/published/newswire.parquet"
    done = smoke.snakemake(target, preset="config/published.yaml", MADE=str(made))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    ours = pq.read_table(smoke.folder / "results/evolution" / f"{CELL}.parquet").to_pydict()
    theirs = pq.read_table(smoke.folder / target).to_pydict()
    assert theirs["edge_jaccard"] == ours["edge_jaccard"] and theirs["edges_born"] == ours["edges_born"]


BAD_INPUT = {
    "missing column": ('{"id": "a", "text": "One. Two."}\n', ["news.jsonl", "'article'", "text"]),
    "empty file": ("", ["news.jsonl", "empty"]),
    "malformed": ('{"id": "a", "article": \n', ["news.jsonl"]),
    "no row left": ('{"id": "a", "article": "", "summary": "x"}\n', ["news.jsonl", "no row"]),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_articles_are_one_line_and_leave_nothing(smoke, case):
    text, words = BAD_INPUT[case]
    (smoke.folder / "news.jsonl").write_text(text)
    content = {
        "datasets": {
            "bad": {
                "source": "files",
                "files": {"all": "news.jsonl"},
                "splits": dict.fromkeys(("train", "validation", "test"), "all"),
            }
        },
        "runs": [{"model": "small", "dataset": "bad"}],
    }
    (smoke.folder / "config/bad.yaml").write_text(yaml.safe_dump(content))
    done = smoke.snakemake("results/articles/bad/train.parquet", preset="config/bad.yaml")
    assert done.returncode != 0
    line = next(line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error: "))
    assert all(word in line for word in words), line
    assert "Traceback" not in (smoke.folder / "logs/articles/bad/train.log").read_text()
    assert not list((smoke.folder / "results/articles/bad").glob("*"))
