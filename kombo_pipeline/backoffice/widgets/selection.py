"""Which jobs the picker shows, as its address says: filters, order, page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlencode

from kombo_pipeline.linking.statements import job_filter
from kombo_pipeline.linking.statements.job_filter import Filter
from kombo_pipeline.matching.addresses import canonical_url
from kombo_pipeline.matching.identifiers import OwnIdentity, own_keys

MAX_PAGE: Final = 1_000_000
MAX_SEARCH_CHARACTERS: Final = 300
_FLAGS: Final[Mapping[str, bool]] = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs that the address of the page selects, their order, and the page of the list."""

    wanted: Filter
    params: Mapping[str, str]
    """The parameters of the address that are understood; those with their default may be missing."""
    sort: str
    descending: bool
    page: int

    def url(self, path: str = "/picker", **changes: Any) -> str:
        """Return the address of `path` with this selection and changed parameters; None removes a parameter.

        The page number is removed unless `changes` has it, because another selection has other pages.
        """
        params = {**self.params, **changes}
        if "page" not in changes:
            params.pop("page", None)
        return address(path, **params)

    def sort_url(self, sort: str) -> str:
        """Return the address that sorts by `sort`, or reverses the order if the list is sorted by it already."""
        ascending = self.descending if sort == self.sort else sort != "opened"
        return self.url(sort=sort, order="asc" if ascending else "desc")

    @property
    def is_narrowed(self) -> bool:
        """Whether there is a filter beside the status."""
        return not self.wanted.is_status_alone


def address(path: str, **params: Any) -> str:
    """The address of a page; parameters that are None or empty are left out."""
    return f"{path}?{urlencode({name: value for name, value in params.items() if value not in (None, '')})}"


def read_selection(given: Mapping[str, Any], integration_id: str) -> Selection:
    """Read the parameters of an address, or the fields of a form. Unknown values count as not given."""
    params = {"integration": integration_id}
    for name in ("q", "status", "place", "department", "visibility", "exposed", "linked", "sort", "order", "page"):
        value = given.get(name, "")
        # Postgres keeps no null bytes.
        text = value.replace("\0", "").strip()[:MAX_SEARCH_CHARACTERS] if isinstance(value, str) else ""
        if text:
            params[name] = text
    for name, known in (
        ("status", job_filter.STATUSES),
        ("visibility", job_filter.VISIBILITIES),
        ("exposed", _FLAGS),
        ("linked", _FLAGS),
        ("sort", job_filter.SORTS),
        ("order", ("asc", "desc")),
    ):
        if params.get(name) not in known:
            params.pop(name, None)
    search = params.get("q", "")
    is_address = canonical_url(search) is not None
    sort = params.get("sort", "opened")
    page = params.get("page", "")
    return Selection(
        wanted=Filter(
            integration_id=integration_id,
            status=cast(job_filter.Status, params.get("status", "open")),
            words=() if is_address else tuple(search.split()[:12]),
            keys=tuple(own_keys([OwnIdentity("", post_url=search)])[""]) if is_address else (),
            urls=(search,) if is_address else (),
            place=params.get("place", ""),
            department=params.get("department", ""),
            visibility=cast(job_filter.Visibility, params.get("visibility", "")),
            exposed=_FLAGS.get(params.get("exposed", "")),
            linked=_FLAGS.get(params.get("linked", "")),
        ),
        params=params,
        sort=sort,
        descending=params.get("order", "desc" if sort == "opened" else "asc") == "desc",
        page=max(1, min(int(page), MAX_PAGE)) if page.isdecimal() and len(page) < 9 else 1,
    )
