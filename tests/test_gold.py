"""Gold word alignments: both formats, their faults, the real files; and the alignment error rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from releases import make_zip, release

from weam.errors import UserError
from weam.metrics.aer import score_links
from weam.readers import Release
from weam.readers.gold import GoldPair, read_gold

TSV = "A dog\tEin Hund\t0-0 1-1\r\nNo , no .\tNein .\t0-0 2p0 3-1"
BICICI = {
    "x/test.de": "\ufeffein hund\nja\n",
    "x/test.en": "a small dog\nyes !\n",
    "x/de-en.wa": "0-0 1-2\n0-0\n",
    "__MACOSX/x/test.de": "junk",
}


def test_xlwa(tmp_path: Path) -> None:
    first, second = read_gold(release(tmp_path, "xlwa", ["en", "de"], {"xlwa-en-de.dev.tsv": "\ufeff" + TSV}), "de")
    links = frozenset({(0, 0), (1, 1)})
    assert first == GoldPair(["A", "dog"], ["Ein", "Hund"], links, links)
    assert second.sure == {(0, 0), (3, 1)}
    assert second.possible == {(0, 0), (2, 0), (3, 1)}


def test_xlwa_takes_the_file_of_the_pair_and_the_test_set_of_several(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "en-de.dev.tsv": "a\tdev\t0-0\n",
        "en-de.test.tsv.gz": "a\ttest\t0-0\n\n",
        "en-des.test.tsv": "a\twrong\t0-0\n",
        "en-es.dev.tsv": "a\tdev\t\n",
    }
    both = release(tmp_path, "xlwa", ["en", "de", "es", "zh"], files)
    assert [pair.other for pair in read_gold(both, "de")] == [["test"]]
    assert [pair.other for pair in read_gold(both, "es")] == [["dev"]]
    with pytest.raises(UserError, match=r"0 files are named en-zh; it has en-de\.dev\.tsv"):
        read_gold(both, "zh")


def test_words_are_separated_by_plain_spaces_only(tmp_path: Path) -> None:
    text = "10\u00a0000 dogs\tviele  Hunde\u3000 x\t1-2\n"
    (pair,) = read_gold(release(tmp_path, "xlwa", ["en", "de"], {"en-de.tsv": text}), "de")
    assert pair.english == ["10\u00a0000", "dogs"]
    assert pair.other == ["viele", "Hunde\u3000", "x"]


def test_bicici_links_are_turned_to_english_first(tmp_path: Path) -> None:
    first, second = read_gold(release(tmp_path, "bicici", ["en", "de"], {"a.zip": make_zip(dict(BICICI))}), "de")
    assert first == GoldPair(["a", "small", "dog"], ["ein", "hund"], frozenset({(0, 0), (2, 1)}), first.sure)
    assert second.english == ["yes", "!"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A dog\tEin Hund\n", "line 1: 2 columns where three are expected"),
        (TSV + "\nA\tEin\t0-0\tx\n", "line 3: 4 columns"),
        ("A\tEin\t0-0\nA dog\tEin Hund\t0-0 1:1\n", "line 2: '1:1' is not a link"),
        ("A dog\tEin Hund\t0-0 -1-1\n", "line 1: '-1-1' is not a link"),
        ("A dog\tEin Hund\t0-0 0-2\n", "line 1: link 0-2 points outside the sentences .2 English words, 2 others. "),
        ("A dog\tEin Hund\t1-1 2-0\n", "link 2-0 points outside"),
        ("\tEin Hund\t\n", "line 1: a side has no words"),
        (b"A\tEin\t0-0\n\xff\tEin\t0-0\n", "line 2: not valid UTF-8"),
        ("", "has no sentence with gold alignments for de"),
    ],
)
def test_faults_of_xlwa(text: bytes | str, message: str, tmp_path: Path) -> None:
    spoiled = release(tmp_path, "xlwa", ["en", "de"], {"en-de.tsv": text})
    with pytest.raises(UserError, match=message):
        read_gold(spoiled, "de")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x/test.en": "a small dog\n"}, "differ in their number of lines .test.de 2, test.en 1, de-en.wa 2."),
        ({"x/de-en.wa": "0-0 2-1\n0-0\n"}, "de-en.wa, line 1: link 2-1 points outside"),
        ({"x/de-en.wa": "0-0\n0-0 a\n"}, "de-en.wa, line 2: 'a' is not a link"),
        ({"y/test.en": ""}, "has no member test.en"),
        ({"x/test.de": b"\xff\nja\n"}, "test.de, line 1: not valid UTF-8"),
    ],
)
def test_faults_of_bicici(changes: dict[str, bytes | str], message: str, tmp_path: Path) -> None:
    archive = make_zip({**BICICI, **changes})
    with pytest.raises(UserError, match=message):
        read_gold(release(tmp_path, "bicici", ["en", "de"], {"a.zip": archive}), "de")


def test_damaged_zip_unknown_format_and_language(tmp_path: Path) -> None:
    cut = make_zip(dict(BICICI))[:100]
    with pytest.raises(UserError, match="truncated or damaged archive"):
        read_gold(release(tmp_path, "bicici", ["en", "de"], {"a.zip": cut}), "de")
    with pytest.raises(UserError, match="format 'moses' has no gold alignments"):
        read_gold(release(tmp_path, "moses", ["en", "de"], {"a.zip": cut}), "de")
    with pytest.raises(UserError, match="has no language 'fr'"):
        read_gold(release(tmp_path, "xlwa", ["en", "de"], {"a.tsv": TSV}), "fr")


def test_a_slip_of_the_annotators_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "A dog\tEin Hund\t0-0 1-1\n" * 100 + "A dog\tEin Hund\t0-0 5-1\n"
    pairs = read_gold(release(tmp_path, "xlwa", ["en", "de"], {"en-de.tsv": text}), "de")
    assert pairs[-1].sure == {(0, 0)}
    assert "line 101: link 5-1 points outside" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"line 101: link 5-1 .*\(3 of 204 links do\)"):
        read_gold(release(tmp_path, "xlwa", ["en", "de"], {"en-de.tsv": text + "A dog\tEin\t0-1 0-2\n"}), "de")


@pytest.mark.realdata
def test_real_bicici(shared_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = (shared_data / "align" / "de-en-bicici-100.zip").read_bytes()
    pairs = read_gold(release(tmp_path, "bicici", ["en", "de"], {"de-en-bicici-100.zip": data}), "de")
    assert len(pairs) == 100
    assert sum(len(pair.sure) for pair in pairs) == 1232  # and one that points outside its sentence
    assert "de-en.wa, line 63: link 12-16 points outside" in capsys.readouterr().err
    assert pairs[0].other[:3] == ["herr", "präsident", ","]
    assert (pairs[0].english[14], pairs[0].other[16]) == ("late", "spät")
    assert {(0, 0), (14, 16), (16, 19)} <= pairs[0].sure


@pytest.mark.realdata
def test_real_xlwa(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "align" / "xlwa-en-es.dev.tsv").read_bytes()
    real: Release = release(tmp_path, "xlwa", ["en", "es"], {"xlwa-en-es.dev.tsv": data})
    pairs = read_gold(real, "es")
    assert len(pairs) == 105
    assert pairs[1].english == ["He", "was", "the", "father", "of", "five", "children", "."]
    assert (6, 4) in pairs[1].sure  # children - hijos


def test_aer_of_a_sentence_worked_by_hand() -> None:
    # A = 4 links: 2 sure, 1 possible, 1 wrong; S = 3. precision 3/4, recall 2/3, AER 1 - (2 + 3) / (4 + 3)
    found = {(0, 0), (1, 1), (2, 2), (3, 3)}
    sure = {(0, 0), (1, 1), (4, 4)}
    possible = sure | {(2, 2), (9, 9)}
    score = score_links([(found, sure, possible)])
    assert score == pytest.approx((2 / 7, 3 / 4, 2 / 3))
    assert score_links([(found, sure, possible - sure)]) == score


def test_aer_counts_links_and_not_sentences() -> None:
    right, wrong = {(0, 0), (1, 1), (2, 2)}, {(5, 5)}
    score = score_links([(right, right, right), (wrong, set(), set())])
    assert score == pytest.approx((1 - 6 / 7, 3 / 4, 1.0))


def test_aer_of_nothing() -> None:
    assert score_links([]) == (0.0, 1.0, 1.0)
    assert score_links([(set(), {(0, 0)}, {(0, 0)})]) == (1.0, 1.0, 0.0)
