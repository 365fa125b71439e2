"""The table of languages: every language of the tasks is in it, and faults are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from weam import languages, tasks
from weam.errors import UserError

TABLE = Path(__file__).parents[1] / "data" / "languages.csv"
HEADER = "code,name,family,genus,script,level\n"
GERMAN = "de,German,Indo-European,Germanic,Latin,5\n"
FAMILIES = {
    *("Afro-Asiatic", "Austro-Asiatic", "Austronesian", "Basque", "Creole", "Dravidian", "Indo-European", "Japonic"),
    *("Kartvelian", "Koreanic", "Niger-Congo", "Quechuan", "Sino-Tibetan", "Tai-Kadai", "Turkic", "Uralic"),
}
SCRIPTS = {
    *("Arabic", "Bengali", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek", "Gujarati", "Gurmukhi", "Han"),
    *("Hangul", "Hebrew", "Japanese", "Latin", "Malayalam", "Myanmar", "Tamil", "Telugu", "Thai"),
}


def test_the_table() -> None:
    """Reading checks that codes are unique and sorted, levels in range, and a genus in one family."""
    found = languages.read(TABLE)
    assert {language.family for language in found.values()} == FAMILIES
    assert {language.script for language in found.values()} == SCRIPTS
    assert len({language.name for language in found.values()}) == len(found)
    assert found["sw"] == languages.Language("sw", "Swahili", "Niger-Congo", "Bantoid", "Latin", 2)
    assert {code for code, language in found.items() if language.level == 5} == {
        "ar",
        "de",
        "en",
        "es",
        "fr",
        "ja",
        "zh",
    }
    assert [found[code].level for code in ("ru", "he", "yo", "te")] == [4, 3, 2, 1]
    assert {code for code, language in found.items() if language.level is None} == {"ht", "qu"}


def test_low_resource() -> None:
    found = languages.read(TABLE)
    assert [found[code].is_low_resource for code in ("te", "yo", "he", "de", "qu")] == [True, True, False, False, None]


@pytest.mark.parametrize("name", tasks.names())
def test_the_languages_of_all_tasks_are_in_it(name: str) -> None:
    assert set(tasks.load(name).languages) <= set(languages.read(TABLE)), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,name,family,genus,script\nde,German,Indo-European,Germanic,Latin\n", "has no column level"),
        (HEADER + GERMAN + GERMAN, "line 3: code 'de' stands behind 'de'"),
        (HEADER + GERMAN + "af,Afrikaans,Indo-European,Germanic,Latin,3\n", "line 3: code 'af' stands behind 'de'"),
        (HEADER + "de,German,Indo-European,Germanic,Latin,6\n", "line 2: level is '6'; it is 0 to 5"),
        (HEADER + "de,German,,Germanic,Latin,5\n", "line 2: family is ''"),
        (HEADER + "de,German ,Indo-European,Germanic,Latin,5\n", "line 2: name is 'German '"),
        (HEADER + "de,German,Indo-European,Germanic,Latin\n", "line 2: level is None"),
        (HEADER + GERMAN + "nl,Dutch,Uralic,Germanic,Latin,4\n", "genus 'Germanic' is in family 'Uralic' here and in"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "languages.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        languages.read(path)
    assert message in str(error.value)
    assert "languages.csv" in str(error.value)
