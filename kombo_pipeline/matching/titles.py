"""Job titles in canonical form: the words that say what the job is, without gender, codes, hours and advertising."""

import html
import json
import re
import sys
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple

from kombo_pipeline.matching.word_lists import (
    EMPLOYMENT_PHRASES,
    LEVELS,
    NOISE_PHRASES,
    PHRASES,
    SEASONS,
    WORDS,
)

MAX_CHARACTERS: Final = 400
"""Longer titles are cut to this length; the longest real ones have about 250 characters."""
MAX_FOLDED: Final = 2000
"""Longer texts are cut before folding. The longest text that is folded, a list of places, has half of this."""


class Title(NamedTuple):
    """The parts of a title. `core` has the words that say what the job is; the sets hold what else was found."""

    folded: str  # the whole title, case and accents folded
    core: str
    words: tuple[str, ...]  # of the core
    levels: frozenset[str] = frozenset()  # seniority: junior, senior, ...
    numbers: frozenset[str] = frozenset()  # "Engineer II" and "Engineer 2" give 2
    years: frozenset[str] = frozenset()
    seasons: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()  # requisition numbers, digits without leading zeros
    employment: frozenset[str] = frozenset()  # full, part, temporary, ...


@lru_cache(maxsize=2**17)
def read_title(title: str) -> Title:
    """Return the parts of a title. Any text is accepted; reading the core again gives the same core.

    A title without other words than an employment type or advertising ("Full Time") keeps them as its core.
    """
    text = title[: 2 * MAX_CHARACTERS]
    if "&" in text:
        text = html.unescape(html.unescape(text))
    text = text[:MAX_CHARACTERS]
    if "In" in text:
        text = _BINNEN_I.sub("", text)
    text = folded = fold(text)
    codes: set[str] = set()
    # Each pattern is tried only where a cheap one says that it may match: most titles have no such markers.
    for spelling, name in _SPELLINGS:
        text = text.replace(spelling, name)
    if _MAY_SAY_GENDER.search(text):
        text = _GENDER_WORDS.sub(" ", text)
    if _MAY_HOLD_GENDER.search(text):
        text = _GENDER_LETTERS.sub(_without_gender, text)
    if _MAY_BE_FEMININE.search(text):
        text = _FEMININE.sub("", text)
    if _MAY_HOLD_CODE.search(text):
        text = _EXPLICIT_CODE.sub(lambda match: _take(codes, match), text)
    words = _words(text)
    plain = " ".join(words)
    folded = plain if text is folded else " ".join(_words(folded))
    employment: set[str] = set()
    before = None
    while words != before:
        before = words
        text = " ".join(words)
        if not WORDS.keys().isdisjoint(words):
            text = " ".join([WORDS.get(word, word) for word in words])
        if not _PHRASE_STARTS.isdisjoint(text.split()):
            text = _PHRASES.sub(lambda match: PHRASES[match[0]], text)
            text = _EMPLOYMENT.sub(lambda match: _hint(employment, match), text)
            text = _NOISE.sub(" ", text)
        if _FOUR_DIGITS.search(text):
            text = _CODE.sub(lambda match: _take(codes, match), text)
        words = text.split()
    words = words or plain.split()
    numbers = years = _NONE
    if _DIGIT.search(text):
        numbers = frozenset([word for word in words if len(word) <= 2 and word.isdecimal()])
        years = frozenset([word for word in words if _YEAR.fullmatch(word)])
    return Title(
        folded=folded,
        core=" ".join(words),
        words=tuple(map(sys.intern, words)),
        levels=_named(LEVELS, words),
        numbers=_named(_ROMAN, words) | numbers,
        years=years,
        seasons=_named(SEASONS, words),
        codes=frozenset(codes),
        employment=frozenset(employment),
    )


def fold(text: str) -> str:
    """Return the text in lower case, without compatibility forms and Latin accents; control characters become spaces.

    Every script is kept. Text beyond MAX_FOLDED characters is cut, because normalising many accents takes long.
    """
    text = text[:MAX_FOLDED]
    if text.isascii():
        return text.lower() if text.isprintable() else text.translate(_CONTROL).lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _COMBINING.sub("", text)).casefold().translate(_LETTERS)


def plain_words(text: str) -> list[str]:
    """Return the folded words of any text, without punctuation."""
    return _words(fold(html.unescape(text[:MAX_CHARACTERS])))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Strip English and German endings: engineer and engineering, Entwickler and Entwicklung have one stem."""
    if not word.isascii():
        return word
    while ending := next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 4), None):
        word = word.removesuffix(ending)
    return word


@cache
def idf_by_stem() -> dict[str, float]:
    """Return the stored IDF of title words, by stem. A missing stem is rarer than all these."""
    stored = json.loads(resources.files("kombo_pipeline.matching").joinpath("weights.json").read_text("utf-8"))
    return {word: float(level) for level, words in stored["rarity"]["words"].items() for word in words.split()}


def code_digits(code: str) -> str:
    """Return the digits of a job code without leading zeros: the form in which codes of two systems are compared."""
    return "".join(character for character in code if character.isdecimal()).lstrip("0")


_CONTROL: Final = dict.fromkeys((*range(32), 127), " ")
_LETTERS: Final = {**_CONTROL, **str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})}
_COMBINING: Final = re.compile("[\u0300-\u036f]+")
# \w without the underscore: people write "Data_Engineer", and dot, plus and hash are read before.
_WORD: Final = re.compile(r"(?:[^\W_]|[\u0900-\u0dff\u0e00-\u0eff\u3099\u309a])+")
_NO_WORD: Final = {code: " " for code in range(128) if not chr(code).isalnum()}
_BINNEN_I: Final = re.compile(r"(?<=[a-zäöüß])(?:Innen|In)\b")
_SPELLINGS: Final = (
    ("c++", " cpp "),
    ("c#", " csharp "),
    ("f#", " fsharp "),
    (".net", " dotnet "),
    ("node.js", "nodejs"),
    ("r&d", " research development "),
    ("'", ""),
    ("’", ""),
)
_GENDER: Final = (
    r"(?:m|w|f|d|x|h|k|u|i|a|n|gn|nb|div|divers|diverse|male|female|non-?binary|mannlich|weiblich|inter"
    r"|homme|femme|uomo|donna|kobieta|mezczyzna|mann|frau|all)"
)
_GENDER_LETTERS: Final = re.compile(
    rf"(?P<open>[(\[{{]\s*)?(?<![\w&]){_GENDER}(?:\s*[/|,*·:+;\\.-]+\s*{_GENDER}){{1,4}}\.?(?![\w&])(?(open)\s*[)\]}}]?)"
    r"|[(\[]\s*(?:mwd|wmd|dmw|mfd|fmd|dfm|mwdx|wmdx|gn|mwx|mfx|hf|fh|km|mk|mf|fm|wm|mw)\s*[)\]]"
)
_GENDER_WORDS: Final = re.compile(
    r"[(\[]?\b(?:all|alle|any|every|tous|jeder|jedes)\s*-?(?:genders?|geschlechter?|geschlechts|genres?)\b[)\]]?"
    r"|[(\[]\s*(?:mensch(?:en)?|gender\s?neutral|geschlechtsneutral|geschlecht\s?egal)\s*[)\]]"
)
_MAY_SAY_GENDER: Final = re.compile(r"g(?:ender|eschl|enre)|mensch")
_MAY_HOLD_GENDER: Final = re.compile(r"[/|,*·:+;\\.-]\s*[mwfdxhkuiagn]|[(\[]")
_MAY_BE_FEMININE: Final = re.compile(r"[/*:_·|(.]-?[nitrseak]|/-?c|frau")
_MAY_HOLD_CODE: Final = re.compile(r"\d[\d_-]{2}")
_NONE: Final[frozenset[str]] = frozenset()
_DIGIT: Final = re.compile(r"\d")
_FOUR_DIGITS: Final = re.compile(r"\d{4}")
# A pair that is an address to two sexes and not two other things ("h/w" is hardware, "d/a" a converter).
_SEXES: Final = (
    {"m", "w"}, {"m", "f"}, {"h", "f"}, {"k", "m"}, {"w", "d"}, {"f", "d"}, {"m", "d"}, {"male", "female"},
    {"mannlich", "weiblich"}, {"homme", "femme"}, {"uomo", "donna"}, {"kobieta", "mezczyzna"}, {"mann", "frau"},
    {"m", "x"}, {"w", "x"},
)  # fmt: skip
_FEMININE: Final = re.compile(
    r"(?<=[^\W\d_])(?:"
    r"\s?[/*:_·|]-?innen|[/*:_·|]-?inn?|\(-?in(?:nen)?\)"  # German; the colon, the star and the slash
    r"|(?<=e)(?:[/*:_·]-?[rn]|\([rn]\))"
    r"|(?<=mann)\s?[/|]\s?-?\s?\w*frau"
    r"|[/·.]-?(?:euse|trice|ere|ne|se)|(?<=[eilnrst])[/·]e|\((?:e|ne|se|euse|trice)s?\)"  # French
    r"|(?<=[eo])(?:/-?a|\(a\))|/-?(?:ka|czka|rka|essa)"  # Italian, Polish
    r")(?![\w-])"
)
_EXPLICIT_CODE: Final = re.compile(
    r"[(\[]?(?:\b(?:job|req|requisition|ref|referenz|kennziffer|stellen?-?(?:nr|id)|id|nr|no|position)\b[\s.:-]*"
    r"(?:id|nr|no|number|code)?[\s.:#-]*|#\s?)(?P<code>[a-z]{0,4}[-_ ]?\d[\d_-]{2,})\b[)\]]?"
)
_CODE: Final = re.compile(r"\b(?:(?:jr|r|req|rq|ref|job|id|jo|p|j|k|wd|hrc) ?)?(?!(?:19|20)\d\d\b)(?P<code>\d{4,})\b")
_YEAR: Final = re.compile(r"20[12345]\d")
_ROMAN: Final = {"i": "1", "v": "5"}  # the others cannot be letters and are digits in the core already
_ENDINGS: Final = (
    "ships", "ship", "ments", "ment", "ings", "ing", "innen", "ungen", "ung", "ations", "ation", "ants", "ant",
    "ives", "ive", "ers", "erin", "er", "ors", "or", "ions", "ion", "ies", "es", "en", "s", "e", "y",
)  # fmt: skip


def _phrase_pattern(phrases: list[str]) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![^\s])(?:{alternatives})(?![^\s])")


_PHRASES: Final = _phrase_pattern(list(PHRASES))
_EMPLOYMENT: Final = _phrase_pattern(list(EMPLOYMENT_PHRASES))
_NOISE: Final = _phrase_pattern(list(NOISE_PHRASES))
_PHRASE_STARTS: Final = frozenset(phrase.split()[0] for phrase in (*PHRASES, *EMPLOYMENT_PHRASES, *NOISE_PHRASES))


def _words(text: str) -> list[str]:
    return text.translate(_NO_WORD).split() if text.isascii() else _WORD.findall(text)


def _without_gender(match: re.Match[str]) -> str:
    found = set(re.findall(r"[^\W\d_]+", match[0]))
    if match["open"] is None and match[0][0] in "([":
        return " "
    return " " if any(sexes <= found for sexes in _SEXES) else match[0]


def _take(codes: set[str], match: re.Match[str]) -> str:
    if digits := code_digits(match["code"]):
        codes.add(digits)
    return " "


def _hint(employment: set[str], match: re.Match[str]) -> str:
    forms = EMPLOYMENT_PHRASES[match[0]]
    employment.update(forms.split())
    return match[0] if forms == "intern" else " "


def _named(table: dict[str, str], words: list[str]) -> frozenset[str]:
    return _NONE if table.keys().isdisjoint(words) else frozenset([table[word] for word in words if word in table])
