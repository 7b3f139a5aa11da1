"""The features of each job, read once: normalised strings, bit masks and sparse term vectors, a row for each job."""

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
from kombo_pipeline.matching.word_lists import EMPLOYMENT_PHRASES, FUNCTION_WORDS, LEVELS, SEASONS

HASH_DIMENSIONS: Final = 2**20
"""Stems and character trigrams are hashed into this many dimensions (the hashing trick), so no dictionary is stored."""
UNKNOWN_DATE: Final = -(2**31)
"""Stands in `JobFeatures.posted` where the date is not known."""
CONTEXT_WEIGHT: Final = 0.1
"""Factor for the weight of title words that repeat the job's own place, name the customer, or are a year or a season:
those are features of their own."""
PLACE_WEIGHT: Final = 0.7
"""Weight of the place in a search vector; the title has 1."""
GRAM_WEIGHT: Final = 0.5
"""Weight of a word's character trigrams together; the word itself has 1."""
MIN_SEARCH_WEIGHT: Final = 0.07
"""Smaller entries of a search vector (length 1) are dropped: half of all titles share those terms."""

_FUNCTION_STEMS: Final = frozenset(map(stem, FUNCTION_WORDS))
_TIMES: Final = frozenset(map(stem, SEASONS)) | frozenset(map(str, range(2000, 2060)))
_LEVELS: Final = tuple(dict.fromkeys(LEVELS.values()))
_SEASONS: Final = tuple(dict.fromkeys(SEASONS.values()))
_EMPLOYMENT: Final = tuple(dict.fromkeys(" ".join(EMPLOYMENT_PHRASES.values()).split()))


@dataclass(frozen=True, slots=True)
class JobText:
    """The fields of a job that are compared, the same for own jobs and ATS jobs. Unknown texts are empty."""

    id: str
    title: str
    location: str = ""
    department: str = ""
    employment_type: str = ""
    posted: date | None = None
    code: str | None = None


@dataclass(frozen=True)
class JobFeatures:
    """The features of a list of jobs. Row n of every field belongs to job n."""

    jobs: np.ndarray[Any, Any]  # the JobText objects
    folded: np.ndarray[Any, Any]  # the whole title, in lower case and without accents
    core: np.ndarray[Any, Any]  # the words that say what the job is
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
    tie_break: np.ndarray[Any, Any]  # see tie_breaks
    words: Any  # stems of the title, weighted by IDF
    context: Any  # stems of place and department
    cities: Any
    regions: Any
    place_numbers: Any
    codes: Any
    search: Any  # unit vectors for retrieval: stems and trigrams of the title, stems of the place
    title_only: Any  # unit vectors of the titles of title-only jobs; empty rows for the others

    @classmethod
    def read(cls, jobs: Sequence[JobText], *, customer: str, idf: "Idf") -> Self:
        """Read the jobs of one customer. Words of the customer's name weigh little in a title."""
        titles = [read_title(job.title) for job in jobs]
        places = [read_place(job.location) for job in jobs]
        named = frozenset(stem(word) for word in plain_words(customer))
        departments = [_department(job.department) for job in jobs]
        words = _Words(titles, places, named, idf)
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
            tie_break=tie_breaks([job.id for job in jobs]),
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
            search=_search_vectors(words.spelled(), places, idf),
            title_only=words.title_only([not _has_more_than_a_title(job) for job in jobs]),
        )

    def __len__(self) -> int:
        return len(self.jobs)

    def take(self, rows: np.ndarray[Any, Any]) -> Self:
        """Return the rows that a boolean mask or row numbers choose."""
        return type(self)(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


@dataclass(frozen=True)
class Idf:
    """Inverse document frequency of title words, by stem: ln(all titles / titles with the word).

    The table is fixed and the same for all customers, so the result for one job depends only on that job and its
    candidates.
    """

    default: float
    by_stem: dict[str, float] = field(repr=False)

    def __call__(self, word_stem: str) -> float:
        """Return the IDF of a stem; `default` for an unknown one, and less for an unknown single letter."""
        return self.by_stem.get(word_stem, 0.3 * self.default if len(word_stem) < 2 else self.default)


class _Words:
    """The title words of a list of jobs, distinct by stem within a title, as sparse term vectors."""

    def __init__(self, titles: list[Title], places: list[Place], named: frozenset[str], idf: Idf) -> None:
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
        self._idf = np.array([idf(each) for each in stems], dtype=np.float32)
        self._column = np.array([_column_of(each) for each in stems], dtype=np.int32)
        self._grams = [_grams(word) for word in distinct]
        self._stems = stems

    def weighted(self) -> Any:
        """Return one term vector a title: its stems, weighted by IDF."""
        values = self._share * self._idf[self._number]
        matrix = sparse.csr_matrix((values, self._column[self._number], self._start), self._shape)
        matrix.sum_duplicates()
        return matrix

    def spelled(self) -> Any:
        """Return one unit vector a title, of its stems and the character trigrams of its words."""
        return _unit(self._titles() @ self._spelling(self._grams, self._idf, GRAM_WEIGHT))

    def title_only(self, chosen: Sequence[bool]) -> Any:
        """Return unit vectors of stems and their trigrams for the chosen titles, empty rows for the others.

        Terms are weighted by the square root of their IDF, so that common words count more than in a search: nothing
        but the title tells these jobs apart.
        """
        if not any(chosen):
            return sparse.csr_matrix(self._shape, dtype=np.float32)
        titles = sparse.diags(np.array(chosen, dtype=np.float32)) @ self._titles()
        titles.eliminate_zeros()
        weights = np.sqrt(self._idf)
        weights[[stem in _FUNCTION_STEMS for stem in self._stems]] *= CONTEXT_WEIGHT
        return _unit((titles @ self._spelling(list(map(_grams, self._stems)), weights, 1.0)).tocsr())

    def _titles(self) -> Any:
        # The order of a title's words is kept, so that its sums are rounded alike in every list of jobs.
        return sparse.csr_matrix((self._share, self._number, self._start), (self._shape[0], len(self._stems)))

    def _spelling(self, grams: list[tuple[int, ...]], weights: Any, gram_weight: float) -> Any:
        """Return one row a distinct word: its stem with its weight, its trigrams with a share of `gram_weight`."""
        counts = np.array([1 + len(each) for each in grams], dtype=np.int64)
        start = np.r_[0, np.cumsum(counts)]
        columns = np.fromiter(
            (column for own, each in zip(self._column, grams, strict=True) for column in (own, *each)),
            dtype=np.int32, count=start[-1],
        )  # fmt: skip
        values = np.repeat(gram_weight * weights / np.sqrt(np.maximum(counts - 1, 1)), counts).astype(np.float32)
        values[start[:-1]] = weights
        return sparse.csr_matrix((values, columns, start), shape=(len(counts), HASH_DIMENSIONS))

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self._start) - 1, HASH_DIMENSIONS


def _has_more_than_a_title(job: JobText) -> bool:
    return bool(job.location or job.department or job.employment_type or job.posted or job.code)


def _search_vectors(spelled: Any, places: list[Place], idf: Idf) -> Any:
    named = _unit(_matrix([{word: idf(word) for word in (*place.sites, *place.numbers)} for place in places]))
    matrix = _unit((spelled + PLACE_WEIGHT * named).tocsr())
    matrix.data[matrix.data < MIN_SEARCH_WEIGHT] = 0
    matrix.eliminate_zeros()
    return matrix


def _unit(matrix: Any) -> Any:
    """Scale every row to length 1, in place; empty rows stay empty."""
    matrix.sort_indices()
    norms = np.sqrt(_sums(matrix.multiply(matrix)))
    norms[norms == 0] = 1
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr)).astype(np.float32)
    return matrix


def tie_breaks(ids: Sequence[str]) -> Any:
    """Return a tiny number for each job id. Added to scores, it orders equal ones by the ids alone."""
    return np.array([crc32(job.encode("utf-8", "surrogatepass")) for job in ids], dtype=np.float64) * 1e-15


@lru_cache(maxsize=2**18)
def _column_of(text: str) -> int:
    """Return the dimension into which a stem or a trigram is hashed."""
    return crc32(text.encode("utf-8", "surrogatepass")) % HASH_DIMENSIONS


@lru_cache(maxsize=2**17)
def _grams(word: str) -> tuple[int, ...]:
    padded = f" {word} "
    return tuple({_column_of(padded[start : start + 3] + "\0") for start in range(len(padded) - 2)})


def _matrix(rows: Sequence[dict[str, float]]) -> Any:
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=indptr[1:])
    columns = np.fromiter((_column_of(key) for row in rows for key in row), dtype=np.int32, count=indptr[-1])
    values = np.fromiter((value for row in rows for value in row.values()), dtype=np.float32, count=indptr[-1])
    matrix = sparse.csr_matrix((values, columns, indptr), shape=(len(rows), HASH_DIMENSIONS))
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
