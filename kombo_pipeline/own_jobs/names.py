"""The names under which files bring what an own job has: of fields, of the elements and lists that hold jobs."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

MAX_NAME: Final = 1000
"""Longer names are compared as far as this."""


@lru_cache(maxsize=4096)
def key(name: str) -> str:
    """Return a name as it is compared: without case, accents, blanks and punctuation. `@id` keeps its sign."""
    plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", name[:MAX_NAME].casefold()))
    return f"@{plain}" if name.startswith("@") else plain


def _keys(names: str) -> tuple[str, ...]:
    return tuple(map(key, names.split()))


# Names of a number that is the job's id where there is no id, and else a code of the job.
_REFERENCES: Final = """
    reference-number referenznummer referenz-nr referentienummer número-de-referencia numéro-de-référence
    ref-number job-ref-number job-reference reference reference-id referenz ref référence referencia referentie
"""
# Names of the number of a requisition: a code, and the id of a file that has no other one.
_REQUISITIONS: Final = """
    requisition-id requisition requisition-number requisition-code req-id req-number job-requisition-id
    job-requisition job-requisition-number kennziffer
"""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    column: (key(column), *_keys(names))
    for column, names in {
        "own_job_id": f"""
            id job-id jobid-extern partner-job-id posting-id job-posting-id position-id vacancy-id vacature-id
            offer-id job-offer-id job-opening-id opening-id listing-id ad-id shortcode
            stellen-id stellen-nr stellennummer stelle-id job-nr jobnummer job-number anzeigen-id anzeigennummer
            ausschreibungsnummer ausschreibungs-nr id-offre offre-id id-oferta oferta-id id-vacature
            vacaturenummer numéro-offre número-oferta
            job-position-posting-id document-id external-id external-job-id identifier identifier-value guid
            {_REFERENCES}
        """,
        "title": """
            job-title jobtitel job-name posting-title job-posting-title position-title job-position-title
            vacancy-title vacancy-name offer-title opening-title job-opening-name job-opening ad-title
            external-title stellentitel stellenbezeichnung anzeigentitel stelle bezeichnung titel
            titre intitulé titre-du-poste intitulé-du-poste poste
            título puesto título-del-puesto nombre-del-puesto
            functietitel vacaturetitel functie vacature titel-vacature
            name position headline
        """,
        "kombo_job_id": "kombo-id",
        "remote_id": "ats-id ats-job-id",
        "job_code": f"code job-code stellencode {_REQUISITIONS} {_REFERENCES}",
        "post_url": """
            url job-url posting-url post-link job-link posting-link vacancy-url offer-url ad-url hosted-url absolute-url
            public-url careers-url careersite-job-url job-ad-url shortlink link links-careersite-job-url
            stellenlink anzeigenlink anzeigen-url stellen-url lien lien-de-l'offre enlace url-oferta vacature-url
            apply-url application-url careers-apply-url apply-link bewerbungslink bewerbungs-url
        """,
        "location": """
            locations job-location job-locations primary-location position-location job-position-location
            physical-location work-location workplace place office primary-office
            arbeitsort einsatzort dienstort standort standorte arbeitsorte
            lieu lieu-de-travail localisation lugar lugar-de-trabajo ubicación werklocatie standplaats locatie
            cities orte lieux location-name categories-location
        """,
        "department": """
            departments department-name department-label abteilung fachbereich team département service-département
            departamento afdeling category job-category categories-department categories-team
        """,
        "employment_type": """
            job-type contract-type contract anstellungsart beschäftigungsart vertragsart commitment
            type-of-employment employment work-type worker-type position-schedule position-classification
            type-de-contrat contrat tipo-de-contrato contrato jornada dienstverband contracttype
            employment-type-code categories-commitment type
        """,
        "posted_at": """
            posted date-posted posted-on posted-date date published-at published published-on first-published
            publication-date publish-date published-date pub-date released-date list-date created-at created created-on
            open-date opened opened-at datum veröffentlichungsdatum veröffentlicht veröffentlicht-am
            date-de-publication publié-le fecha-de-publicación publicatiedatum plaatsingsdatum
        """,
        "withdrawn": "",
    }.items()
}
"""The names of a column; the first that has a value counts."""

REFERENCES: Final = frozenset(_keys(_REFERENCES))
LAST_ID_NAMES: Final = (*_keys(_REQUISITIONS), "@id")
"""They are ids only in a file whose jobs have no other id."""

PLACE: Final[tuple[tuple[str, ...], ...]] = (
    _keys(
        "city town stadt ort ville ciudad stad plaats municipality city-name address-locality locality "
        "location-city job-city work-city"
    ),
    _keys(
        "state region province bundesland région provincia provincie address-region country-subdivision-code "
        "location-state location-region"
    ),
    _keys("country country-name land pays país address-country location-country country-code"),
)
"""The parts of a place: its city, its region, its country."""

MORE_PLACES: Final = _keys(
    "locations job-locations secondary-locations additional-locations additional-offices all-locations "
    "categories-all-locations further-locations"
)
"""Further places of a job beside its location."""

WITHIN: Final[Mapping[str, tuple[str, ...]]] = {
    "own_job_id": _keys("value id-value id text"),
    "title": _keys("rendered text name label value title"),
    "post_url": _keys("href url value raw"),
    "location": _keys("full-location location-str raw display-name label name summary-text text office value location"),
    "posted_at": _keys("date value date-time"),
}
"""Where a field holds named values itself: those that say what the column asks for."""
WITHIN_OTHERS: Final = _keys("label name text title value raw code term")

TRANSPARENT: Final = frozenset(_keys(
    "attributes fields item job node posting job-posting data header details detail job-details job-info general "
    "basic-data position-record-info position-profile position-detail position-requisition "
    "job-position-information job-position-description post-detail"
))  # fmt: skip
"""What stands within them counts as the job's own; own names come first."""


def is_wrapper(name: str) -> bool:
    """Whether a name only wraps the fields of a record."""
    return name == "_source" or key(name) in TRANSPARENT


YES: Final = frozenset(_keys("true 1 yes y x ja j wahr oui vrai sí si verdadero waar"))
NO: Final = frozenset(_keys("false 0 no n nein falsch non faux falso nee onwaar"))

ADDRESSES: Final = frozenset(_keys("address postal-address geo-address area"))

TEXT_TITLES: Final = _keys("hosted-url")
"""Beside these names the name `text` is the title (and else often a description)."""

JOB_ELEMENTS: Final = frozenset(_keys(
    "job item entry position vacancy posting opening offer job-offer job-posting job-post job-ad job-opening "
    "job-listing listing requisition job-requisition position-opening job-position-posting stelle stellenangebot "
    "stellenanzeige anzeige offre offre-emploi offre-d-emploi annonce emploi oferta oferta-empleo oferta-de-empleo "
    "empleo puesto vacature row record"
))  # fmt: skip
"""Elements of an XML feed that are one job."""
EMPTY_ROOTS: Final = frozenset(_keys(
    "jobs source rss feed channel positions workzag-jobs vacancies postings openings offers job-offers job-postings "
    "job-ads job-listings stellen stellenangebote offres annonces ofertas empleos vacatures job-feed joblist job-list"
))  # fmt: skip
"""A document of such a root without any job is a list of no jobs."""

LISTS: Final = _keys(
    "jobs job-postings postings offers job-offers vacancies positions openings job-openings job-ads job-list joblist "
    "stellen stellenangebote offres ofertas vacatures requisitions @graph item-list-element data-feed-element "
    "content items results data records entries elements hits nodes edges list value rows response result payload d "
    "feed"
)
"""Names of a JSON list of jobs, and of objects that hold one; the first that holds objects counts."""

TOTALS: Final = _keys("total total-found total-count total-results total-jobs total-elements record-count nb-hits")
NEXT_PAGES: Final = _keys("next next-page next-cursor next-page-token next-link next-url @odata.next-link")
ABOUT_PAGES: Final = frozenset(_keys("meta paging pagination page links page-info"))
"""What a JSON document says of a longer list that it is one page of, itself or in such an object."""
