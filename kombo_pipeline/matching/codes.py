"""Job codes: the canonical form in which two codes are compared, and whether a code identifies one job. Pure.

A code that looks like a requisition number (`Kind.NUMBER`) identifies a job, unless many jobs share such codes.
A shorter number or a word does so only where the customer's codes of that kind behave like identifiers: many jobs have
one, and almost none share it (`Habits`). A placeholder ("tbd") never does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

MANY_JOBS: Final = 20
"""With fewer jobs than this, the codes of a customer do not show whether they are shared."""
ALONE: Final = 0.95
"""Codes of a kind behave like identifiers when at least this share of the jobs that have one have it alone. A few
doubles are usual: a job that is posted again keeps its code."""
SHARED: Final = 0.5
"""Requisition numbers do not identify jobs when fewer jobs than this share have one of their own: they then name
profiles or cost centres. Customers who advertise each vacancy in several places stay above it."""
DIGITS: Final = 4
"""A number with this many digits is not a count, a grade or a position in a list."""
MAX_LENGTH: Final = 200
"""A longer text is not a code."""
MAX_ID_LENGTH: Final = 500
"""A longer text is not an id of an ATS either, and is not compared."""
DIGITS_BEHIND_LABEL: Final = 2
"""Digits needed after a short label such as R-. After a label that can only mean a requisition (REQ-) one is enough."""


class Kind(StrEnum):
    """What a code looks like."""

    NUMBER = "number"
    SHORT = "short"
    WORD = "word"
    PLACEHOLDER = "placeholder"


# Words in front of a number that only announce it. They carry no identity in any system.
_ANNOUNCING_TEXT: Final = """
n no nr nro num number nummer numero numéro nº id code kod kode codigo código codice ref réf reference referenz
referenznummer refnr refno referencia référence riferimento referentie referentienummer kennziffer kennung kennzahl
stellennummer stellennr stellenid stellencode stellenausschreibung stelle stellen ausschreibung ausschreibungsnummer
job jobid jobnr jobno jobnumber jobcode jobnummer jobreference jobref vakanz vakanznummer vakanznr vakanzid vacancy
vacancyid vacature vacaturenummer vacaturenr requisition requisitionid reqid requisitionnumber position positionid
positionsnummer posting postingid offre oferta offerta annonce annuncio anzeige anzeigennummer chiffre
"""
_ANNOUNCING: Final = frozenset(_ANNOUNCING_TEXT.split())
# Short labels that systems put in front of their own numbers. Two labels may count different things, so a label is only
# ignored against a code without one.
_LABELS_TEXT: Final = """
req rq jr r job j vac vak ref pos jobreq opp rec po
"""
_LABELS: Final = frozenset(_LABELS_TEXT.split())
_LABELS_OF_REQUISITIONS: Final = frozenset({"req", "rq", "jr", "vac", "vak", "jobreq"})

_WORDS_OF_NOTHING_TEXT: Final = """
tbd tba tbc tbs na nan none null nil undefined undef unknown unbekannt offen open keine kein keiner ka folgt ohne leer
entfaellt entfällt unassigned pending draft default placeholder various verschiedene diverse mehrere multiple general
allgemein generic initiativ initiativbewerbung spontan spontanbewerbung unsolicited evergreen pipeline talentpool test
testing tests demo dummy example sample beispiel muster xxx xx x sn sinasignar ninguno ninguna pendiente nvt ntb geen
onbekend volgt aucun aucune inconnu néant neant nessuno nd brak saknas ingen ikke puuttuu ei nenhum indefinido yok нет
なし 未定 待定 无 無 없음 abc asdf qwertz qwerty foo bar empty missing missed tobedefined nicht vorhanden angegeben
"""
_WORDS_OF_NOTHING: Final = frozenset(_WORDS_OF_NOTHING_TEXT.split())
_PHRASES_OF_NOTHING_TEXT: Final = (
    "n a|k a|n v t|n d|n n|s n|b d|t b d|t b a|to be defined|to be determined|to be confirmed|not applicable|"
    "not available|not assigned|not set|no code|no number|no id|wird nachgereicht|wird noch vergeben|noch offen|"
    "keine angabe|nicht vorhanden|nicht vergeben|"
    "siehe text|siehe anzeige|a determinar|a definir|à définir|"
    "à déterminer|por definir|por determinar|sin codigo|sin código|sin asignar|sin número|no aplica|non défini|"
    "non applicable|sans objet|en attente|da definire|da determinare|non disponibile|non applicabile|nader te bepalen|"
    "niet van toepassing|nie dotyczy|do ustalenia|ej tillämpligt|ikke relevant|não aplicável|não definido|a combinar|"
    "не указано"
)
_PHRASES_OF_NOTHING: Final = frozenset(_PHRASES_OF_NOTHING_TEXT.split("|"))

_SPREADSHEET: Final = re.compile(
    r"[0-9]+[.,][0-9]+e[+-]?[0-9]+|[0-9]+e[+-][0-9]+|#+|#(?:n/?a|ref!|name\?|value!|null!)", re.I
)
_FLOAT: Final = re.compile(r"([0-9]+)[.,]0")
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_DATE: Final = re.compile(
    r"(?:0?[1-9]|[12][0-9]|3[01])\D(?:0?[1-9]|1[0-2])\D(?:20)?[0-9]{2}|20[0-9]{2}\D?(?:0[1-9]|1[0-2])\D?(?:0[1-9]|[12][0-9]|3[01])"
    r"|20[0-9]{2}\D[0-9]{1,2}|(?:0?[1-9]|1[0-2])\D20[0-9]{2}"
)
_COUNTING: Final = "01234567890123456789"


def canonical_code(code: str) -> str | None:
    """Return the letters and numbers of a code, without case, separators, leading zeros and announcing words.

    "REQ-0012" and "req 12" are "req 12"; "4711.0" and "Stellennummer 4711" are "4711". No group of numbers is dropped.
    None where there is neither letter nor number, and for what a spreadsheet has damaged (7,44E+14).
    """
    return _groups(code)[0]


def unlabelled_code(code: str) -> str | None:
    """Return the canonical form without the label in front of the number ("12" for REQ-0012); None without a label.

    Compare it with canonical forms only: REQ-12 and VAC-12 may be two jobs, while 12 may be either.
    """
    return _groups(code)[1]


@lru_cache(maxsize=65536)
def _groups(code: str) -> tuple[str | None, str | None]:
    text = _plain(code)
    groups = [re.sub(r"^0+(?=\d)", "", group) for group in re.findall(r"\d+|[^\W\d_]+", text)]
    first = next((place for place, group in enumerate(groups) if group.isdecimal()), 0)
    if all(group in _ANNOUNCING or group in _LABELS for group in groups[:first]):
        # "Job-ID REQ 12": announcing words go, the label next to the number stays. A single "job" or "ref" is a label.
        labels = [group for group in groups[:first] if group not in _ANNOUNCING]
        if not labels and first == 1 and groups[0] in _LABELS:
            labels = groups[:1]
        canonical = [*labels, *groups[first:]]
        bare = groups[first:] if labels else None
    else:
        canonical, bare = groups, None
    return " ".join(canonical) or None, " ".join(bare) if bare else None


def _plain(code: str) -> str:
    """Return the code in lower case and without ".0"; empty where the text is not a code."""
    if len(code) > MAX_LENGTH:
        return ""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", code).casefold()).strip()
    if _SPREADSHEET.fullmatch(text):
        return ""
    number = _FLOAT.fullmatch(text)
    return number[1] if number else text


@lru_cache(maxsize=65536)
def kind_of(code: str) -> Kind:
    """Return what a code looks like, judged by its form alone."""
    canonical, bare = _groups(code)
    if canonical is None:
        return Kind.PLACEHOLDER
    groups = canonical.split()
    letters = [group for group in groups if not group.isdecimal()]
    digits = "".join(group for group in groups if group.isdecimal())
    written = re.sub(r"\D", "", _plain(code))  # with leading zeros: padded numbers are a series
    if _says_nothing(letters, digits):
        return Kind.PLACEHOLDER
    if not digits:
        return Kind.WORD
    numbers = [group for group in groups if group.isdecimal() and not _YEAR.fullmatch(group)]
    if (
        not numbers
        or _DATE.fullmatch(_plain(code))
        or (not letters and (written in _COUNTING or len(set(written)) == 1))
    ):
        return Kind.SHORT
    if bare is not None:
        is_said = groups[0] in _LABELS_OF_REQUISITIONS or len(written) >= DIGITS_BEHIND_LABEL
        return Kind.NUMBER if is_said else Kind.SHORT
    # Alternating letters and digits, as in A7F3K9, are generated by a machine.
    is_mixed = len(groups) >= 4 and len(written) >= 3
    return Kind.NUMBER if len(written) >= DIGITS or is_mixed else Kind.SHORT


def _says_nothing(letters: list[str], digits: str) -> bool:
    if digits and set(digits) <= {"0"}:
        return True
    if digits and set(digits) == {"9"} and len(digits) >= DIGITS and not letters:
        return True
    if not letters:
        return False
    if digits:
        return len(digits) < DIGITS and all(group in _WORDS_OF_NOTHING for group in letters)
    text = " ".join(letters)
    repeated = len(text) > 1 and len(set(text.replace(" ", ""))) == 1
    return repeated or text in _PHRASES_OF_NOTHING or all(group in _WORDS_OF_NOTHING for group in letters)


class Habits(NamedTuple):
    """The kinds of codes that identify single jobs at a customer; see `habits`."""

    believed: frozenset[Kind]


def habits(own: Iterable[tuple[str, int]], ats: Iterable[tuple[str, int]]) -> Habits:
    """Return which kinds of codes identify single jobs, from all codes of the customer.

    Both arguments are pairs of a code and the number of jobs that have it: `own` of own jobs, `ats` of ATS jobs, closed
    ones included. Count each integration apart, because copies of a job in two integrations do not share a code.
    """
    mine, theirs = _counted(own), _counted(ats)
    found = set()
    for kind in (Kind.NUMBER, Kind.SHORT, Kind.WORD):
        # Own jobs can show that codes are shared; too few of them may have a code to show that codes are not shared.
        if any(side[kind].is_shared for side in (mine, theirs)):
            continue
        if kind is Kind.NUMBER or theirs[kind].is_alone:
            found.add(kind)
    return Habits(frozenset(found))


class _Count(NamedTuple):
    jobs: int
    alone: int

    @property
    def is_alone(self) -> bool:
        return self.jobs >= MANY_JOBS and self.alone >= ALONE * self.jobs

    @property
    def is_shared(self) -> bool:
        return self.jobs >= MANY_JOBS and self.alone < SHARED * self.jobs


def _counted(codes: Iterable[tuple[str, int]]) -> Mapping[Kind, _Count]:
    jobs: Counter[Kind] = Counter()
    alone: Counter[Kind] = Counter()
    for code, count in codes:
        kind = kind_of(code)
        jobs[kind] += count
        alone[kind] += count == 1
    return {kind: _Count(jobs[kind], alone[kind]) for kind in Kind}


def why_not_believed(code: str, known: Habits) -> str | None:
    """Return in words why a code does not identify one job, None where it does. `known` are the customer's habits."""
    kind = kind_of(code)
    if kind in known.believed:
        return None
    return {
        Kind.PLACEHOLDER: "stands for no code",
        Kind.NUMBER: "is of a kind that many jobs of this customer share",
        Kind.SHORT: "may be a short number, a year, a date or a sequence, not the number of one job",
        Kind.WORD: "looks like the name of a profile, not like the number of one job",
    }[kind]
