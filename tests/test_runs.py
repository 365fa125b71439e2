"""Finished runs: nothing runs twice, an edit re-runs what it must and nothing else, a killed run continues.

The tests share one finished run of configs/smoke.yaml in a copy of the source tree.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pipeline import FIGURES, MINUTES, SMOKE, causes, copy_tree, environment, overlay, planned, rules, snakemake

from weam import configfile, cost
from weam.io import read_object
from weam.validation import read_yaml

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which the smoke configuration has run, eight jobs at a time."""
    where = copy_tree(tmp_path_factory.mktemp("finished"))
    snakemake(where, "-j8", *SMOKE)
    return where


@contextlib.contextmanager
def edited(path: Path, text: str) -> Iterator[None]:
    """Text is appended to a file for the time of a block."""
    before = path.read_bytes()
    path.write_bytes(before + text.encode())
    try:
        yield
    finally:
        path.write_bytes(before)


def contents(where: Path, *patterns: str) -> dict[str, bytes]:
    """Path to bytes of all files that match, but for Snakemake's own."""
    files = {path for pattern in patterns for path in where.glob(pattern) if path.is_file()}
    return {str(p.relative_to(where)): p.read_bytes() for p in sorted(files) if not p.name.startswith(".snakemake")}


def test_all_tables_are_made(finished: Path) -> None:
    for name in ("mlqa", "xnli", "udpos", "tatoeba", "xtreme_r", "alignment", "data"):
        for ending in (".csv", ".md", ".provenance.json"):
            assert (finished / f"results/tables/{name}{ending}").stat().st_size > 0
    header = (finished / "results/tables/mlqa.csv").read_text().splitlines()[0]
    assert header == (
        "system,setting,train_lang,context_lang,question_lang,f1_mean,f1_sd,f1_low,f1_high,em_mean,em_sd,em_low,"
        "em_high,n_seeds,n_items"
    )


def test_the_estimate_of_cost(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is there and afterwards: operations of every kind of training, and disk, within 25 %."""
    monkeypatch.chdir(finished)
    layers = [read_yaml(finished / name) for name in ("config.yaml", "configs/smoke.yaml")]
    config = configfile.load(configfile.overlaid(*layers), finished / "workflow/sources")
    jobs = cost.dry_run([], [Path("configs/smoke.yaml")], everything=True)
    done: dict[str, float] = {}
    for path in finished.glob("results/**/training.json"):
        found = read_object(path)
        what = f"fine-tuning, {found['family']}" if "family" in found else found["objective"]
        what = "backbone" if found["stage"] == "backbone" else what
        done[what] = done.get(what, 0) + found["final"]["flops"]
    folders = [finished / "results" / name for name in ("text", "align", "shards", "models", "finetuned")]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    for where in (tmp_path, finished):
        monkeypatch.chdir(where)
        costs = list(cost.Estimate(config).costs(jobs))
        assert done.keys() == {c.what for c in costs if c.work}
        for what, operations in done.items():
            assert sum(c.operations for c in costs if c.what == what) == pytest.approx(operations, rel=0.25), what
        assert sum(c.disk for c in costs) == pytest.approx(size, rel=0.25)


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(finished, "-j2", *SMOKE).stderr


def test_touching_the_sources_re_runs_nothing(finished: Path) -> None:
    for path in finished.rglob("*"):
        inside = path.relative_to(finished).parts
        if path.is_file() and inside[0] not in ("results", ".snakemake") and inside[:2] != ("data", "raw"):
            path.touch()
    assert planned(finished, *SMOKE) == []


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("weam/table.py", {"table"}),
        ("weam/metrics/nli.py", {"evaluate"}),
        ("weam/families/pos.py", {"finetune"}),
        ("weam/statistics.py", {"significance"}),
        ("weam/embeddings.py", {"evaluate", "word_retrieval"}),
        ("weam/metrics/aer.py", {"align"}),
        ("weam/objectives.py", {"backbone"}),
        ("weam/tokenizer.py", {"tokenizer"}),
        ("weam/text.py", {"text"}),
        ("weam/build_fast_align.py", {"build_fast_align"}),
        ("fast_align/src/model.cpp", {"build_fast_align"}),
        ("weam/mini/world.py", {"download"}),
        ("weam/shards.py", {"shards"}),
        ("weam/pretrain.py", {"pretrain"}),
        ("weam/finetune.py", {"finetune"}),
        ("weam/families/qa.py", {"finetune"}),
        ("weam/configdocs.py", set()),
        ("README.md", set()),
    ],
)
def test_an_edit_re_runs_exactly_its_rules(finished: Path, module: str, expected: set[str]) -> None:
    """The first rules of the chain that use a module run for its sake, the later ones because these do."""
    assert (finished / module).is_file()
    with edited(finished / module, "\n# an edit\n"):
        assert rules(causes(planned(finished, *SMOKE))) == expected


def test_a_lexicon_re_makes_only_sources_with_its_language(finished: Path) -> None:
    with edited(finished / "data/mini/de.yaml", "\n# an edit\n"):
        outputs = {job.output.split("/")[2] for job in causes(planned(finished, *SMOKE))}
    assert "mini-en-de" in outputs
    assert not outputs & {"mini-en-es", "mini-en-zh", "mini-squad"}


TABLES = {"table", "significance", "xtreme_r", "alignment_table", "data_table", "page", *FIGURES}


def test_a_setting_of_one_language_touches_only_its_jobs(finished: Path) -> None:
    jobs = planned(finished, *overlay(finished, "text: {max_pairs: {de: 100}}"))
    assert [job.output.split(",")[0] for job in causes(jobs) if job.rule not in TABLES] == [
        "results/text/en-de/text.parquet"
    ]
    for job in jobs:
        if job.rule not in TABLES:
            assert re.search(r"/(en-)?de/", job.output), job.output
            assert not re.search(r"mbert|multi|mono|backbone", job.output), job.output


@pytest.mark.parametrize(
    ("change", "rule", "inside", "outside"),
    [
        ("pretrain: {weam: {cross_weight: 0.5}}", "pretrain", "weam", "tlm|word_align|mbert"),
        ("finetune: {nli: {learning_rate: 0.002}}", "finetune", "nli|xnli", "qa"),
        ("finetune: {qa: {max_answer_length: 10}}", "evaluate", "mlqa", "xnli|udpos|finetuned"),
        ("retrieval: {layer: 1}", "evaluate", "tatoeba", "mlqa|xnli|udpos|finetuned|word_retrieval"),
        ("seeds: {finetune: [1, 2]}", "finetune", "-2", "seed[01]-1|tatoeba"),
        ("align: {heuristic: intersect}", "align", "en-..", "mono|mbert|multi"),
        ("mini: {test_questions: 9}", "download", "mlqa", "xnli|results/(text|align|shards|models|finetuned)"),
        ("text: {max_words: 90}", "text", "text/en-..", "mono|mini|tokenizer|backbone|mbert|multi"),
    ],
)
def test_a_setting_re_runs_what_it_affects(finished: Path, change: str, rule: str, inside: str, outside: str) -> None:
    jobs = [job for job in planned(finished, *overlay(finished, change)) if job.rule not in TABLES]
    assert rule in rules(jobs)
    assert jobs[0].rule in rules(causes(jobs))
    for job in causes(jobs):
        assert re.search(inside, job.output), job.output
    for job in jobs:
        assert not re.search(outside, job.output), job.output


def test_one_job_at_a_time_gives_the_same_tables(finished: Path, tmp_path: Path) -> None:
    """A model and all tables, for which all that depends on it is made too, one job at a time: the bytes of eight."""
    where = tmp_path / "again"
    shutil.copytree(finished, where, symlinks=True)
    folders = (
        "results/models/weam/de",
        "results/finetuned/*/*/weam/de",
        "results/scores/*/*/weam/de",
    )
    tables = [f"results/tables/*.{kind}" for kind in ("csv", "md", "json")]  # pages and figures are made of these alone
    wanted = [f"results/tables/{path.name}" for path in (finished / "results/tables").glob("*.csv")]
    for folder in [folder for pattern in folders for folder in where.glob(pattern)]:
        shutil.rmtree(folder)
    shutil.rmtree(where / "results/tables")
    snakemake(where, "-j1", *wanted, *SMOKE)
    compared = (*(f"{folder}/**/*" for folder in folders), *tables)
    before = contents(finished, *compared)
    assert len(before) > 30
    assert contents(where, *compared) == before


def test_on_one_machine_each_gpu_job_has_a_gpu_of_its_own(finished: Path, tmp_path: Path) -> None:
    """Three trainings on two GPUs that are made up, so that PyTorch finds none: the bytes of a run without."""
    where, other = tmp_path / "tree", tmp_path / "tmp"
    shutil.copytree(finished, where, symlinks=True)
    other.mkdir()
    profile = ("--workflow-profile", "profiles/local-gpu", "--resources", "gpu=2", *SMOKE)
    models = [f"results/finetuned/{family}/zero-shot/mbert/multi/seed0-1" for family in ("qa", "nli", "pos")]
    before = contents(where, *(f"{model}/*" for model in models))
    assert planned(where, *profile) == []
    for model in models:
        shutil.rmtree(where / model)
    variables = {"CUDA_VISIBLE_DEVICES": "2,GPU-8932f937", "TMPDIR": str(other)}
    snakemake(where, *models, "-j4", *profile, variables=variables)
    logs = [
        (where / f"results/logs/finetune/{model.split('/')[2]}-zero-shot-mbert-multi-seed0-1.log") for model in models
    ]
    lines = [re.findall("CUDA_VISIBLE_DEVICES=(.*)", log.read_text()) for log in logs]
    assert sorted(lines) in ([["2"], ["2"], ["GPU-8932f937"]], [["2"], ["GPU-8932f937"], ["GPU-8932f937"]])
    assert contents(where, *(f"{model}/*" for model in models)) == before


def checkpoints(where: Path) -> list[Path]:
    return sorted(where.glob("results/work/**/*.pt"))


def steps(data: bytes) -> bytes:
    """A file without the number of steps between checkpoints, which training.json repeats, and its own checksum."""
    return re.sub(rb'("checkpoint_steps": |"checksum": )(\d+|"\w+")', rb"\1N", data)


def test_a_killed_run_continues_to_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    """From nothing, one job at a time, killed while a model trains: unlock, start again, same bytes."""
    where = copy_tree(tmp_path / "killed")
    args = ("results/models/weam/de/seed1", *overlay(where, "backbone: {checkpoint_steps: 5}"))
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", "-j1", *args],
        cwd=where,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        end = time.monotonic() + 5 * MINUTES
        while process.poll() is None and not checkpoints(where) and time.monotonic() < end:
            time.sleep(0.02)
        for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGKILL)
    assert {path.parts[-3] for path in checkpoints(where)} == {"backbone"}  # left over: the kill came while it trained
    assert not (where / "results/models/weam").exists()
    assert "locked" in snakemake(where, "-j1", *args, status=1).stderr
    snakemake(where, "--unlock", *SMOKE)
    snakemake(where, "-j1", *args)
    made = (
        "results/text/mono/*",
        "results/text/en-de/*",
        "results/align/en-de/*",
        "results/shards/mono/*",
        "results/shards/en-de/*",
        "results/models/tokenizer/*",
        "results/models/backbone/*",
        "results/models/weam/de/seed1/*",
    )
    before, after = ({name: steps(data) for name, data in contents(w, *made).items()} for w in (finished, where))
    assert len(before) > 15
    assert after == before
    assert not checkpoints(where)
