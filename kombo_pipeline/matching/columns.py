"""Jobs as columns: each read once into strings, bit masks and sparse matrices that pairs are compared in."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import lru_cache
from typing import Any, Final, Self
from zlib import crc32

import numpy as np
from scipy import sparse

from kombo_pipeline.matching.places import Place, read_place
from kombo_pipeline.matching.titles import Title, code_digits, plain_words, read_title, stem
from kombo_pipeline.matching.vocabulary import EMPLOYMENT_PHRASES, FUNCTION_WORDS, LEVELS, SEASONS

FEATURES: Final = 2**20
"""Words and character trigrams are hashed into so many columns; no vocabulary has to be kept or agreed upon."""
UNKNOWN_DATE: Final = -(2**31)
CONTEXT_WEIGHT: Final = 0.1
"""What is left of a title word that only repeats the job's own place, names the customer, or is a year or season,
which are compared apart."""
PLACE_WEIGHT: Final = 0.7
"""What a place counts in a search beside a title."""
GRAM_WEIGHT: Final = 0.5
LEAST_SEARCH_WEIGHT: Final = 0.07
"""Parts of a unit vector below this are not searched by: they are what half of all titles share."""

_FUNCTION_STEMS: Final = frozenset(map(stem, FUNCTION_WORDS))
_TIMES: Final = frozenset(map(stem, SEASONS)) | frozenset(map(str, range(2000, 2060)))
_LEVELS: Final = tuple(dict.fromkeys(LEVELS.values()))
_SEASONS: Final = tuple(dict.fromkeys(SEASONS.values()))
_EMPLOYMENT: Final = tuple(dict.fromkeys(" ".join(EMPLOYMENT_PHRASES.values()).split()))


@dataclass(frozen=True, slots=True)
class JobText:
    """What is compared of a job, the same for both sides. Unknown texts are empty; any text is accepted."""

    id: str
    title: str
    location: str = ""
    department: str = ""
    employment_type: str = ""
    posted: date | None = None
    code: str | None = None


@dataclass(frozen=True)
class Columns:
    """A list of jobs, one row each; every field has as many rows."""

    jobs: np.ndarray[Any, Any]  # the JobText objects
    folded: np.ndarray[Any, Any]
    core: np.ndarray[Any, Any]
    place: np.ndarray[Any, Any]
    department: np.ndarray[Any, Any]
    levels: np.ndarray[Any, Any]  # bit masks
    numbers: np.ndarray[Any, Any]
    years: np.ndarray[Any, Any]
    seasons: np.ndarray[Any, Any]
    employment: np.ndarray[Any, Any]
    remote: np.ndarray[Any, Any]
    several: np.ndarray[Any, Any]
    posted: np.ndarray[Any, Any]  # days since 1970
    title_key: np.ndarray[Any, Any]  # equal for titles with the same words
    tie: np.ndarray[Any, Any]  # settles equal scores by id, whatever the order of rows
    words: Any  # title words, weighted
    context: Any  # words of place and department
    cities: Any
    regions: Any
    place_numbers: Any
    codes: Any
    search: Any  # unit vectors for retrieval: words, their trigrams, words of the place
    alone: Any  # unit vectors of the titles of jobs of which nothing else is known; of others, nothing

    @classmethod
    def read(cls, jobs: Sequence[JobText], *, customer: str, rarity: "Rarity") -> Self:
        """Read jobs of one customer, whose name is worth nothing inside a title."""
        titles = [read_title(job.title) for job in jobs]
        places = [read_place(job.location) for job in jobs]
        named = frozenset(stem(word) for word in plain_words(customer))
        departments = [_department(job.department) for job in jobs]
        words = _Words(titles, places, named, rarity)
        return cls(
            jobs=_objects(jobs),
            folded=_objects([title.folded for title in titles]),
            core=_objects([title.core for title in titles]),
            place=_objects([place.text for place in places]),
            department=_objects(departments),
            levels=_masks([title.levels for title in titles], _LEVELS.index),
            numbers=_masks([title.numbers for title in titles], lambda number: int(number) % 64),
            years=_masks([title.years for title in titles], lambda year: int(year) % 64),
            seasons=_masks([title.seasons for title in titles], _SEASONS.index),
            employment=_masks(
                [title.employment | _employment(job.employment_type) for job, title in zip(jobs, titles, strict=True)],
                _EMPLOYMENT.index,
            ),
            remote=np.array([place.remote for place in places], dtype=bool),
            several=np.array([place.several for place in places], dtype=bool),
            posted=np.array([_days(job.posted) for job in jobs], dtype=np.int64),
            title_key=np.array([crc32(" ".join(sorted(title.words)).encode()) for title in titles], dtype=np.int64),
            tie=np.array([crc32(job.id.encode("utf-8", "surrogatepass")) for job in jobs], dtype=np.float64) * 1e-15,
            words=words.weighted(),
            context=_flags(
                [
                    place.stems.union(map(stem, department.split()))
                    for place, department in zip(places, departments, strict=True)
                ]
            ),
            cities=_flags([place.cities for place in places]),
            regions=_flags([place.regions for place in places]),
            place_numbers=_flags([place.numbers for place in places]),
            codes=_flags([_codes(title, job.code) for job, title in zip(jobs, titles, strict=True)]),
            search=_search(words.spelled(), places, rarity),
            alone=words.alone([not _tells_more(job) for job in jobs]),
        )

    def __len__(self) -> int:
        return len(self.jobs)

    def take(self, rows: np.ndarray[Any, Any]) -> Self:
        """The rows chosen by a mask or by numbers."""
        return type(self)(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


@dataclass(frozen=True)
class Rarity:
    """How much a word says: the natural logarithm of the number of job titles in which one is found with it.

    It is the same for all customers and does not change with their jobs, so that the result for one job
    depends on nothing but that job and its candidates.
    """

    default: float
    by_stem: dict[str, float] = field(repr=False)

    def __call__(self, word_stem: str) -> float:
        """The rarity of a stem; a single letter says less than an unknown word."""
        return self.by_stem.get(word_stem, 0.3 * self.default if len(word_stem) < 2 else self.default)


class _Words:
    """The title words of a list of jobs: distinct by stem within a title, weighted by how much they say there."""

    def __init__(self, titles: list[Title], places: list[Place], named: frozenset[str], rarity: Rarity) -> None:
        found: list[str] = []
        counts = []
        known = []
        for title, place in zip(titles, places, strict=True):
            by_stem = {stem(word): word for word in title.words}
            repeated = by_stem.keys() & (place.sites | named | _TIMES)
            if repeated:
                known += [number for number, each in enumerate(by_stem, len(found)) if each in repeated]
            found += by_stem.values()
            counts.append(len(by_stem))
        distinct = list(dict.fromkeys(found))
        number_of = {word: number for number, word in enumerate(distinct)}
        self._number = np.fromiter(map(number_of.__getitem__, found), dtype=np.int32, count=len(found))
        self._start = np.r_[0, np.cumsum(counts, dtype=np.int64)]
        self._share = np.ones(len(found), dtype=np.float32)
        self._share[known] = CONTEXT_WEIGHT
        stems = [stem(word) for word in distinct]
        self._rarity = np.array([rarity(each) for each in stems], dtype=np.float32)
        self._column = np.array([column_of(each) for each in stems], dtype=np.int32)
        self._grams = [_grams(word) for word in distinct]
        self._stems = stems

    def weighted(self) -> Any:
        """One column a stem."""
        values = self._share * self._rarity[self._number]
        matrix = sparse.csr_matrix((values, self._column[self._number], self._start), self._shape)
        matrix.sum_duplicates()
        return matrix

    def spelled(self) -> Any:
        """Unit vectors of stems and of the words' character trigrams."""
        return _unit(self._titles() @ self._spelling(self._grams, self._rarity, GRAM_WEIGHT))

    def alone(self, chosen: Sequence[bool]) -> Any:
        """Unit vectors of stems and of their trigrams for the chosen titles, none for the others.

        Where nothing else tells jobs apart, common words count too: the square root brings the rarities together.
        """
        if not any(chosen):
            return sparse.csr_matrix(self._shape, dtype=np.float32)
        titles = sparse.diags(np.array(chosen, dtype=np.float32)) @ self._titles()
        titles.eliminate_zeros()
        says = np.sqrt(self._rarity)
        says[[stem in _FUNCTION_STEMS for stem in self._stems]] *= CONTEXT_WEIGHT
        return _unit((titles @ self._spelling(list(map(_grams, self._stems)), says, 1.0)).tocsr())

    def _titles(self) -> Any:
        # The order of a title's words is kept, so that its sums are rounded alike in every list of jobs.
        return sparse.csr_matrix((self._share, self._number, self._start), (self._shape[0], len(self._stems)))

    def _spelling(self, grams: list[tuple[int, ...]], says: Any, gram_weight: float) -> Any:
        """Each distinct word as its stem and trigrams, which share among them what they weigh beside it."""
        counts = np.array([1 + len(each) for each in grams], dtype=np.int64)
        start = np.r_[0, np.cumsum(counts)]
        columns = np.fromiter(
            (column for own, each in zip(self._column, grams, strict=True) for column in (own, *each)),
            dtype=np.int32, count=start[-1],
        )  # fmt: skip
        values = np.repeat(gram_weight * says / np.sqrt(np.maximum(counts - 1, 1)), counts).astype(np.float32)
        values[start[:-1]] = says
        return sparse.csr_matrix((values, columns, start), shape=(len(counts), FEATURES))

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self._start) - 1, FEATURES


def _tells_more(job: JobText) -> bool:
    return bool(job.location or job.department or job.employment_type or job.posted or job.code)


def _search(spelled: Any, places: list[Place], rarity: Rarity) -> Any:
    named = _unit(_matrix([{word: rarity(word) for word in (*place.sites, *place.numbers)} for place in places]))
    matrix = _unit((spelled + PLACE_WEIGHT * named).tocsr())
    matrix.data[matrix.data < LEAST_SEARCH_WEIGHT] = 0
    matrix.eliminate_zeros()
    return matrix


def _unit(matrix: Any) -> Any:
    matrix.sort_indices()
    norms = np.sqrt(_sums(matrix.multiply(matrix)))
    norms[norms == 0] = 1
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr)).astype(np.float32)
    return matrix


@lru_cache(maxsize=2**18)
def column_of(text: str) -> int:
    """The column that stands for a word."""
    return crc32(text.encode("utf-8", "surrogatepass")) % FEATURES


@lru_cache(maxsize=2**17)
def _grams(word: str) -> tuple[int, ...]:
    padded = f" {word} "
    return tuple({column_of(padded[start : start + 3] + "\0") for start in range(len(padded) - 2)})


def _matrix(rows: Sequence[dict[str, float]]) -> Any:
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=indptr[1:])
    columns = np.fromiter((column_of(key) for row in rows for key in row), dtype=np.int32, count=indptr[-1])
    values = np.fromiter((value for row in rows for value in row.values()), dtype=np.float32, count=indptr[-1])
    matrix = sparse.csr_matrix((values, columns, indptr), shape=(len(rows), FEATURES))
    matrix.sum_duplicates()
    return matrix


def _flags(rows: Sequence[Collection[str]]) -> Any:
    return _matrix([dict.fromkeys(row, 1.0) for row in rows])


def _sums(matrix: Any) -> Any:
    return np.asarray(matrix.sum(1)).ravel()


def _objects(values: Sequence[object]) -> np.ndarray[Any, Any]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _masks(rows: Sequence[frozenset[str]], bit: Callable[[str], int]) -> np.ndarray[Any, Any]:
    masks = np.zeros(len(rows), dtype=np.uint64)
    for number, row in enumerate(rows):
        if row:
            masks[number] = sum(1 << position for position in {bit(value) for value in row})
    return masks


def _days(day: date | None) -> int:
    return UNKNOWN_DATE if day is None else (day - date(1970, 1, 1)).days


@lru_cache(maxsize=1024)
def _employment(text: str) -> frozenset[str]:
    return read_title(text.replace("_", " ")).employment


@lru_cache(maxsize=4096)
def _department(text: str) -> str:
    return read_title(text).core


def _codes(title: Title, code: str | None) -> frozenset[str]:
    digits = code_digits(code or "")
    return title.codes | {digits} if len(digits) > 2 else title.codes
