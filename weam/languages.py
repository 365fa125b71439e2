"""The table of languages, data/languages.csv: family, genus, script and how much data there is.

Families and genera are those of WALS (Dryer and Haspelmath 2013, wals.info), Basque and the like under their own name;
scripts are those of the tasks' files. The level is the class, 0 to 5, of Joshi et al. 2020, "The State and Fate of
Linguistic Diversity and Inclusion in the NLP World" (arXiv 2004.09095): 5 has most labelled and unlabelled data. It is
empty where we are not certain of the class: such a language counts neither as low-resource nor as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weam import report
from weam.errors import UserError

COLUMNS = ["code", "name", "family", "genus", "script", "level"]
LEVELS = range(6)
LOW = 2
"""Highest level of a low-resource language; 3 is in between, 4 and 5 are high."""


@dataclass(frozen=True)
class Language:
    """One line of the table."""

    code: str
    name: str
    family: str
    genus: str
    script: str
    level: int | None
    """class of Joshi et al. 2020, None where it is not known"""

    @property
    def is_low_resource(self) -> bool | None:
        """Whether its level is at most ``LOW``; None where the level is not known."""
        return None if self.level is None else self.level <= LOW


def read(path: str | Path) -> dict[str, Language]:
    """Code to language, in the order of the file, which is that of the codes.

    Raises:
        UserError: a column or a value is missing or wrong, a code stands twice or in the wrong place, or a genus is in
            two families.
    """
    languages: dict[str, Language] = {}
    families: dict[str, str] = {}
    last = ""
    for number, row in enumerate(report.read_csv(str(path), COLUMNS), start=2):
        where = f"{path}, line {number}"
        for name in COLUMNS:
            value = row[name]
            if value is None or value != value.strip() or (not value and name != "level"):
                raise UserError(
                    f"{where}: {name} is {value!r}; write it without blanks around (only level may be empty)"
                )
        if row["code"] <= last:
            raise UserError(f"{where}: code {row['code']!r} stands behind {last!r}; sort the lines, one for each code")
        if row["level"] and row["level"] not in map(str, LEVELS):
            raise UserError(f"{where}: level is {row['level']!r}; it is 0 to 5, or empty where it is not known")
        if (family := families.setdefault(row["genus"], row["family"])) != row["family"]:
            raise UserError(
                f"{where}: genus {row['genus']!r} is in family {row['family']!r} here and in {family!r} above; "
                "write one of them"
            )
        last = row["code"]
        level = int(row["level"]) if row["level"] else None
        languages[last] = Language(last, row["name"], row["family"], row["genus"], row["script"], level)
    return languages
