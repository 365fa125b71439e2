"""The readers on public data, against the counts in its README."""

from __future__ import annotations

from pathlib import Path

import pytest
from releases import make_release

from weam.errors import UserError
from weam.readers import Release, nli, qa
from weam.readers.monolingual import read_passages

pytestmark = pytest.mark.realdata
LANGUAGES = ["en", "de", "es", "zh"]
MLQA_DEV = {
    "en": [1148, 512, 500, 504],
    "de": [512, 512, 196, 190],
    "es": [500, 196, 500, 161],
    "zh": [504, 190, 161, 504],
}


def opened(folder: Path, shared: Path, format: str, languages: list[str], names: list[str]) -> Release:
    """Link the files beside a manifest."""
    manifest = make_release(folder, format, languages, {})
    listed = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(shared / name)
        listed.append(f'{{"name": "{name}", "bytes": {path.stat().st_size}}}')
    manifest.write_text(manifest.read_text().replace('"files": []', f'"files": [{", ".join(listed)}]'))
    return Release(manifest)


@pytest.mark.parametrize(
    ("format", "name", "count"),
    [
        ("squad", "squad/squad-v1.1-train-subset.json.gz", 4370),
        ("tydiqa", "tydiqa-goldp/tydiqa.goldp.en.train.json.gz", 3696),
    ],
)
def test_english_questions(tmp_path: Path, shared_data: Path, format: str, name: str, count: int) -> None:
    release = opened(tmp_path, shared_data, format, ["en"], [name])
    examples, steps = qa.read_train(release, "en")
    assert len(examples) == count
    assert all(c[start : start + len(text)] == text for _, _, c, answers in examples for text, start in answers)
    assert steps[0] == {"step": "read", "rows": count, "answers": count}
    assert steps[-1] == {"step": "kept", "rows": count, "answers": count}
    passages = list(read_passages(release))
    assert len(passages) == len({example.context for example in examples})


def test_faulty_offsets_are_dropped_and_counted(tmp_path: Path, shared_data: Path) -> None:
    release = opened(tmp_path, shared_data, "squad", ["zh"], ["cmrc2018/cmrc2018_dev.json.gz"])
    examples, steps = qa.read_train(release, "zh")
    dropped = {step["step"]: step["answers"] for step in steps}
    assert dropped["read"] == 9657
    assert dropped["answer not at its offset"] == 200
    assert dropped["kept"] == 9457 == sum(len(example.answers) for example in examples)


def test_mlqa_dev(tmp_path: Path, shared_data: Path) -> None:
    names = [f"mlqa/dev/dev-context-{x}-question-{y}.json.gz" for x in LANGUAGES for y in LANGUAGES]
    release = opened(tmp_path, shared_data, "mlqa", LANGUAGES, names)
    cells = qa.test_cells(release, "dev", LANGUAGES)
    assert len(cells) == 16
    for x, y in cells:
        examples = qa.read_test(release, "dev", x, y)
        assert len(examples) == MLQA_DEV[x][LANGUAGES.index(y)]
        assert all(c[start : start + len(text)] == text for _, _, c, golds in examples for text, start in golds)
    parallel = [{e.id for e in qa.read_test(release, "dev", "en", y)} for y in ("en", "de")]
    assert parallel[1] < parallel[0]  # ids link the same question across languages
    with pytest.raises(UserError, match="has no test questions"):
        qa.test_cells(release, "test", LANGUAGES)


def test_xquad(tmp_path: Path, shared_data: Path) -> None:
    release = opened(tmp_path, shared_data, "xquad", LANGUAGES, [f"xquad/xquad.{x}.json" for x in LANGUAGES])
    tests = [qa.read_test(release, "test", *cell) for cell in qa.test_cells(release, "test", LANGUAGES)]
    assert [len(test) for test in tests] == [1190] * 4
    assert len({tuple(example.id for example in test) for test in tests}) == 1


def test_xnli(tmp_path: Path, shared_data: Path) -> None:
    release = opened(tmp_path, shared_data, "xnli", LANGUAGES, [f"xnli/dev-{x}.tsv.gz" for x in LANGUAGES])
    tests = [nli.read_test(release, "dev", language) for language in LANGUAGES]
    labels = [[example.label for example in test] for test in tests]
    assert all(row == labels[0] for row in labels)
    assert {label: labels[0].count(label) for label in nli.LABELS} == dict.fromkeys(nli.LABELS, 830)


def test_xnli_translate_train(tmp_path: Path, shared_data: Path) -> None:
    names = [f"xnli-translate-train/multinli.train.{x}.tsv.gz" for x in LANGUAGES]
    release = opened(tmp_path, shared_data, "xnli-mt", LANGUAGES, names)
    for language in LANGUAGES:
        examples, steps = nli.read_train(release, language)
        assert (steps[0]["rows"], len(examples)) == (15_001, 15_001)
        assert sum(example.label == "contradiction" for example in examples) == 5504
