"""From facts to tagged words to text: templates are filled by the rules that a language file states."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from weam.errors import UserError
from weam.mini.lexicon import Language, Lexeme, Piece, Template, World

NO_BLANK_BEFORE = frozenset(".,?!،؟")
NO_BLANK_AFTER = frozenset("¿¡")
CLITIC = "+"
"""What marks the side on which a clitic is joined to a word: ``ب+`` before one, ``+ها`` behind one."""


class Fact(NamedTuple):
    """What is said of a person."""

    person: str
    relation: str
    value: str
    adjective: str | None = None


class Statement(NamedTuple):
    """A sentence to be said in any language: facts (one, or two for the frames that join clauses), which paraphrase of
    each, in which frame, and whether the first person is a pronoun."""

    facts: tuple[Fact, ...]
    clauses: tuple[int, ...]
    frame: str = "plain"
    pronoun: bool = False


class Token(NamedTuple):
    """A word or punctuation mark; ``tags`` link it to words of other languages, ``value`` marks the answer.

    ``margin``: how many characters before and after the value are clitics, joined to it but no part of the answer.
    """

    text: str
    tags: frozenset[str] = frozenset()
    value: bool = False
    margin: tuple[int, int] = (0, 0)


class Passage(NamedTuple):
    """Running text and, for each of its sentences, the span of its fact's value: (start, end), or None."""

    text: str
    values: list[tuple[int, int] | None]


class Grammar:
    """Says facts of a world in one language."""

    def __init__(self, world: World, language: Language) -> None:
        self.world = world
        self.language = language
        self._phrases: dict[tuple[object, ...], tuple[Token, ...]] = {}

    # -- sentences -------------------------------------------------------------------------------------------------

    def statement(self, statement: Statement) -> list[Token]:
        """Tokens of a statement."""
        return self._finish(self._framed(self.language.frames, "frames", statement.frame, statement))

    def judgement(self, name: str, statement: Statement | None = None) -> list[Token]:
        """Tokens of the question whether a statement is true, or of the replies to it."""
        return self._finish(self._framed(self.language.judgements, "judgements", name, statement))

    def question(self, fact: Fact, index: int) -> list[Token]:
        """Tokens of a question for a fact's value."""
        key = f"relations.{fact.relation}.questions.{index}"
        return self._finish(self._fill(self.language.relations[fact.relation].questions[index], fact, False, key))

    def reply(self, fact: Fact, index: int) -> list[Token]:
        """Tokens of the short answer to question ``index``."""
        return self._finish(self._framed(self.language.frames, "frames", "reply", Statement((fact,), (index,))))

    def _framed(
        self, frames: Mapping[str, Template], group: str, name: str, statement: Statement | None
    ) -> Iterable[Token]:
        if name not in frames:
            raise self._error(f"{group}.{name}", "is missing; add it as in the other files of the folder")
        for piece in frames[name]:
            if piece.slot is None:
                yield Token(piece.before, piece.tags)
                continue
            second = piece.slot.endswith("2")
            part = piece.slot.removesuffix("2")
            if part not in ("main", "sub", "inv", "answer") or statement is None or second >= len(statement.facts):
                raise self._error(f"{group}.{name}", f"has the unknown slot {{{piece.slot}}}; known: main, sub, inv")
            fact = statement.facts[second]
            key = f"relations.{fact.relation}"
            relation = self.language.relations[fact.relation]
            clause = statement.clauses[second]
            if part == "answer":
                template, key = relation.answers[clause], f"{key}.answer.{clause}"
            else:
                template, key = relation.clauses[clause][part], f"{key}.clauses.{clause}"
            for token in self._fill(template, fact, statement.pronoun and not second, key, part):
                yield token._replace(tags=frozenset(f"{second + 1}.{tag}" for tag in token.tags))

    def _finish(self, tokens: Iterable[Token]) -> list[Token]:
        """Clitics and their hosts, liaison between neighbours, and the capital at the beginning."""
        words = self._joined(tokens)
        for index, (left, right) in enumerate(itertools.pairwise(words)):
            for before, becomes in self.language.liaison.get(left.text, ()):
                if before.match(right.text):
                    words[index] = left._replace(text=becomes)
        if self.language.capital:
            for index, token in enumerate(words):
                if token.text[0].isalnum():
                    words[index] = token._replace(text=token.text[0].upper() + token.text[1:])
                    break
        return words

    def _joined(self, tokens: Iterable[Token]) -> list[Token]:
        """Join clitics to the words that they lean on; the whole has the tags of all its parts."""
        words: list[Token] = []
        for token in tokens:
            last = words[-1] if words else None
            if last is None or not (last.text.endswith(CLITIC) or token.text.startswith(CLITIC)):
                words.append(token)
                continue
            left, right = last.text.removesuffix(CLITIC), token.text.removeprefix(CLITIC)
            for following, becomes in self.language.liaison.get(last.text, ()):
                if following.match(right):
                    left = becomes.removesuffix(CLITIC)
            before = last.margin[0] if last.value else len(left)
            after = token.margin[1] if token.value else last.margin[1] + len(right)
            value = last.value or token.value
            words[-1] = Token(left + right, last.tags | token.tags, value, (before, after) if value else (0, 0))
        for word in words:
            if word.text.startswith(CLITIC) or word.text.endswith(CLITIC):
                raise UserError(f"{self.language.path}: the clitic {word.text!r} has no word beside it to be joined to")
        return words

    # -- clauses and noun phrases ----------------------------------------------------------------------------------

    def _fill(
        self, template: Template, fact: Fact, pronoun: bool, key: str, order: str | None = None
    ) -> Iterable[Token]:
        for index, piece in enumerate(template):
            if piece.slot is None:
                yield Token(piece.before, piece.tags)
            elif piece.slot == "p":
                yield from self._person(piece, fact.person, pronoun, key, None if index else order)
            elif piece.slot == "v":
                yield from self._value(piece, fact, key)
            else:
                raise self._error(key, f"has the unknown slot {{{piece.slot}}}; known: p (person) and v (value)")

    def _person(self, piece: Piece, name: str, pronoun: bool, key: str, begins: str | None) -> Iterable[Token]:
        """The person's name, a pronoun, or a feature; ``begins``: of which order the clause is that it begins."""
        gender = self.world.persons[name]
        lexeme = self.language.words["person"][name]
        if piece.feature:
            yield from self._feature(piece, lexeme, gender, key)
            return
        form = piece.form or "plain"
        if form not in self.language.person:
            raise self._error(key, f"uses the unknown form {{p/{form}}}; known: {', '.join(self.language.person)}")
        person = self.language.person[form]
        pronouns = person.initial.get(begins or "", person.pronoun)
        if pronoun and pronouns and not piece.before and not piece.after:
            for word in self._of_gender(pronouns, gender, f"person.{form}"):
                yield Token(word.before, frozenset({"p"}))
            return
        words = [
            part.before if part.slot is None else " ".join(word.before for word in lexeme.nouns[gender])
            for part in person.name
        ]
        words[0], words[-1] = piece.before + words[0], words[-1] + piece.after
        for text in words:
            yield Token(text, piece.tags or frozenset({"p"}))

    def _value(self, piece: Piece, fact: Fact, key: str) -> Iterable[Token]:
        at = (piece, fact.relation, fact.value, fact.adjective, self.world.persons[fact.person])
        if at not in self._phrases:
            self._phrases[at] = tuple(self._phrase(piece, fact, key))
        return self._phrases[at]

    def _phrase(self, piece: Piece, fact: Fact, key: str) -> Iterable[Token]:
        lexeme = self.language.words[self.world.relations[fact.relation].value][fact.value]
        gender = next(iter(lexeme.nouns))
        if len(lexeme.nouns) > 1:
            gender = self.world.persons[fact.person]
        if piece.feature:
            yield from self._feature(piece, lexeme, gender, key)
            return
        if piece.form is None:
            yield from self._noun(piece, lexeme, gender, key)
            return
        if piece.form not in self.language.forms:
            raise self._error(key, f"uses the unknown form {{v/{piece.form}}}; known: {', '.join(self.language.forms)}")
        for part in self._of_gender(self.language.forms[piece.form], gender, f"forms.{piece.form}"):
            if part.slot == "noun":
                yield from self._noun(part, lexeme, gender, key)
            elif part.slot == "adj":
                if fact.adjective is not None:
                    adjective = self.language.words["adjective"][fact.adjective]
                    for word in self._words(adjective, gender, part.feature, f"words.adjective.{fact.adjective}"):
                        yield Token(part.before + word.before + part.after, frozenset({"v.adj"}), True)
            else:
                tags = frozenset(f"v.{tag}" for tag in part.tags)
                words_of = part.before if part.slot is None else self._lookup(part.slot, lexeme, gender, key)
                yield Token(words_of, tags)

    def _noun(self, piece: Piece, lexeme: Lexeme, gender: str, key: str) -> list[Token]:
        """The value's words; what is written around the slot is part of them, its tags are the first word's too."""
        noun = [
            Token(word.before, frozenset(f"v.{tag}" for tag in word.tags) or frozenset({"v"}), True)
            for word in self._words(lexeme, gender, piece.feature if piece.slot == "noun" else None, key)
        ]
        own = frozenset(f"v.{tag}" for tag in piece.tags) if piece.slot == "noun" else piece.tags
        noun[0] = noun[0]._replace(text=piece.before + noun[0].text, tags=noun[0].tags | own)
        noun[-1] = noun[-1]._replace(text=noun[-1].text + piece.after)
        return noun

    def _feature(self, piece: Piece, lexeme: Lexeme, gender: str, key: str) -> Iterable[Token]:
        assert piece.feature is not None
        text = piece.before + self._lookup(piece.feature, lexeme, gender, key) + piece.after
        for word in text.split():
            yield Token(word, piece.tags)

    def _lookup(self, feature: str, lexeme: Lexeme, gender: str, key: str) -> str:
        if feature in lexeme.features:
            return lexeme.features[feature]
        if feature in self.language.agreement.get(gender, {}):
            return self.language.agreement[gender][feature]
        raise self._error(key, f"uses {{{feature}}}, which neither {_word(lexeme)!r} nor agreement.{gender} gives")

    def _words(self, lexeme: Lexeme, gender: str, variant: str | None, key: str) -> Template:
        if variant is not None and (variant, gender) in lexeme.variants:
            return lexeme.variants[variant, gender]
        return self._of_gender(lexeme.nouns, gender, key)

    def _of_gender(self, table: Mapping[str, Template], gender: str, key: str) -> Template:
        if gender in table:
            return table[gender]
        if "" in table:
            return table[""]
        raise self._error(key, f"has nothing for gender {gender!r}; it has {', '.join(table)}")

    def _error(self, key: str, message: str) -> UserError:
        return UserError(f"{self.language.path}: key {key!r} {message}")

    # -- text ------------------------------------------------------------------------------------------------------

    def text(self, tokens: Sequence[Token]) -> str:
        """Write tokens as a sentence."""
        return self.passage([tokens]).text

    def passage(self, sentences: Iterable[Sequence[Token]]) -> Passage:
        """Write sentences one after the other and find the spans of their values."""
        parts: list[str] = []
        values: list[tuple[int, int] | None] = []
        length = 0
        last = ""
        for sentence in sentences:
            span: tuple[int, int] | None = None
            for token in sentence:
                if last and token.text not in NO_BLANK_BEFORE and last not in NO_BLANK_AFTER:
                    parts.append(self.language.join)
                    length += len(self.language.join)
                if token.value:
                    first, behind = length + token.margin[0], length + len(token.text) - token.margin[1]
                    span = (span[0] if span else first, behind)
                parts.append(token.text)
                length += len(token.text)
                last = token.text
            values.append(span)
        return Passage("".join(parts), values)


def links(source: Sequence[Token], target: Sequence[Token]) -> list[tuple[int, int]]:
    """Pairs of positions whose tokens share a tag: the gold alignment, sorted."""
    return [
        (i, j)
        for i, left in enumerate(source)
        for j, right in enumerate(target)
        if not left.tags.isdisjoint(right.tags)
    ]


def check(world: World, language: Language, english: Language) -> None:
    """Say every value in every clause, question and answer, so that faults show before anything is written.

    Raises :class:`UserError` with file and key for an unknown slot, form or feature, and for a language that lacks
    frames or has another number of paraphrases than English.
    """
    grammar = Grammar(world, language)
    for group in ("frames", "judgements"):
        missing = set(getattr(english, group)) - set(getattr(language, group))
        if missing:
            raise UserError(f"{language.path}: key '{group}.{min(missing)}' is missing; {english.path} has it")
    _variants_match(language)
    one_of_each = {gender: name for name, gender in world.persons.items()}
    framed = tuple(itertools.product((frame for frame in english.frames if frame != "reply"), (False, True)))
    for name, facts in world.relations.items():
        relation, reference = language.relations[name], english.relations[name]
        for part in ("clauses", "questions"):
            count, expected = len(getattr(relation, part)), len(getattr(reference, part))
            if count != expected:
                raise UserError(
                    f"{language.path}: key 'relations.{name}.{part}' has {count} entries, {english.path} has "
                    f"{expected}; entry k of each language must say the same"
                )
        for concept in world.concepts[facts.value]:
            _same_parts(language, english, facts.value, concept)
        for person in one_of_each.values():
            genders: set[tuple[str, ...]] = set()
            for number, value in enumerate(world.concepts[facts.value]):
                fact = Fact(person, name, value, facts.adjectives[0] if facts.adjectives else None)
                gender = tuple(language.words[facts.value][value].nouns)
                adjectives = facts.adjectives[1:] if gender not in genders else ()
                genders.add(gender)
                for clause in range(len(relation.clauses)):
                    for frame, pronoun in framed if number == 0 else (("plain", False),):
                        tokens = grammar.statement(Statement((fact, fact), (clause, clause), frame, pronoun))
                        if not any(token.value for token in tokens):
                            raise grammar._error(f"relations.{name}.clauses.{clause}", "does not say the value {v}")
                    for judgement in english.judgements if number == 0 else ():
                        grammar.judgement(judgement, Statement((fact,), (clause,)))
                    for adjective in adjectives:
                        grammar.statement(Statement((fact._replace(adjective=adjective),), (clause,)))
                for question in range(len(relation.questions)):
                    grammar.question(fact, question)
                    grammar.reply(fact, question)


def _same_parts(language: Language, english: Language, domain: str, concept: str) -> None:
    """A word whose parts are tagged must be tagged alike in English, or its links would be lost."""
    expected = {tag for words in english.words[domain][concept].nouns.values() for word in words for tag in word.tags}
    lexeme = language.words[domain][concept]
    for words in (*lexeme.nouns.values(), *lexeme.variants.values()):
        if {tag for word in words for tag in word.tags} != expected:
            raise UserError(
                f"{language.path}: key 'words.{domain}.{concept}' must carry the tags {sorted(expected)} of "
                f"{english.path}, all of them and no others"
            )


def _variants_match(language: Language) -> None:
    """A variant that no form asks for is misspelt: the plain word would be said in its place."""
    asked = {
        piece.feature
        for by_gender in language.forms.values()
        for template in by_gender.values()
        for piece in template
        if piece.slot in ("noun", "adj")
    }
    for domain, lexemes in language.words.items():
        for concept, lexeme in lexemes.items():
            for variant, _ in lexeme.variants:
                if variant not in asked:
                    raise UserError(
                        f"{language.path}: key 'words.{domain}.{concept}' has the variant {variant!r}, which no form "
                        f"asks for by {{noun.{variant}}} or {{adj.{variant}}}"
                    )


def _word(lexeme: Lexeme) -> str:
    return " ".join(piece.before for piece in next(iter(lexeme.nouns.values())))
