"""Tells addresses of one job from addresses of lists, searches, departments and forms. Pure."""

import re
from typing import Final

from kombo_pipeline.matching.addresses import Address, known_job, read

_LISTS_TEXT: Final = """
about account all apply application applications alerts archive benefits board blog browse career careers category
categories companies company contact culture departments department detail details current direct early faq feed form
graduates home index internships join jobs job joboffers joblist jobboard landing life list listing listings location
locations login locate main move new news now offers offices office opening openings open opportunities opportunity
our overview page pages people portal position positions post postings profile recruiting recruitment register results
role roles search site sites start students student talent talents team teams us vacancies vacancy values view why
work working with you your abteilung abteilungen aktuelle aktuell alle angebote arbeiten arbeitgeber ausbildung
ausbildungsplaetze bei berufe berufserfahrene berufseinsteiger bereich bereiche bewerben bewerbung bewerbungsformular
direkteinstieg ergebnisse formular freie initiativbewerbung jetzt jobboerse jobangebote jobsuche karriere
karriereportal kontakt liste mitarbeiter offene praktikum praktika professionals quereinsteiger schueler standort
standorte startseite stellen stelle stellenangebote stellenangebot stellenanzeigen stellenanzeige
stellenausschreibungen stellenboerse stellenmarkt stellensuche studenten studierende studium suche und uns unternehmen
unsere ueber vakanzen werkstudenten wir fuer accueil carriere carrieres candidature candidatures candidater emploi
emplois metiers nos nous notre offre offres postes postuler recherche recrutement rejoignez rejoindre stages sur bolsa
buscar busqueda candidatos carreras empleo empleos empresa inscripcion oferta ofertas puestos solicitud trabaja
trabajar trabajo vacantes con nosotros azienda candidati candidatura cerca lavora lavoro noi offerte opportunita
posizioni posizione aperte ricerca bij ons baan banen onze over sollicitatie sollicitatieformulier solliciteer
solliciteren vacature vacatures werken zoeken vagas vaga trabalhe conosco carreira carreiras oferty pracy praca
kariera rekrutacja ledige lediga stillinger jobb tjanster karriar stilling a at de en es fr it nl pl pt se dk no fi ch
uk com org html htm php asp aspx jsp do the of for in and
"""
_LISTS: Final = frozenset(_LISTS_TEXT.split())
"""Words in addresses that do not name a particular job."""

_PARENTS_TEXT: Final = """
abteilung abteilungen bereich bereiche blog categories category department departments event events go kategorie
kategorien location locations news ort orte page pages seite seiten standort standorte tag tags team teams fachbereich
fachbereiche thema themen company companies unternehmen office offices brand brands berufsfeld berufsfelder berufe
profession professions search suche filter region regionen stadt city cities
"""
_PARENTS: Final = frozenset(_PARENTS_TEXT.split())
"""Folders whose pages are lists of jobs, whatever the name of the page."""

_GRANDPARENTS: Final = frozenset({"go", "category", "categories", "tag", "tags"})
"""Folders of lists with a name and a number: /go/Engineering/1031544101/."""

_FIRST_WORDS_OF_LISTS_TEXT: Final = """
jobs stellen stellenangebote stellenanzeigen vacancies careers karriere emplois offres ofertas empleos vacatures
positions openings opportunities teams life about why working meet our join team kontakt contact ueber arbeiten unsere
warum lavora trabaja rejoignez werken all alle
"""
_FIRST_WORDS_OF_LISTS: Final = frozenset(_FIRST_WORDS_OF_LISTS_TEXT.split())
_SITES_OF_JOBS: Final = re.compile(r"(?:jobs?|careers?|karriere|stellen\w*|bewerbung|recruiting|apply|vacatures)\b")
_SEARCH: Final = re.compile(r"q|query|k|keywords?|search\w*|suche|suchbegriff|text|term", re.IGNORECASE)
_JOB_PARAMETERS: Final = re.compile(
    r".*(?:job|stelle|vacan|vaka|position|offer|offre|oferta|slug|posting|anzeige)", re.IGNORECASE
)
_NO_JOB_PARAMETERS: Final = re.compile(
    r"(?:page|seite|p(?:age)?_?(?:no|num|number|size)?|offset|start|limit|per_?page|size|sort\w*|order\w*|dir|view|tab|step|q"
    r"|query|k|keywords?|search\w*|suche|term|text|filter\w*|facet\w*|location\w*|loc|lat|lng|lon|radius|umkreis|plz|zip"
    r"|city|ort|stadt|standort|region|land|country|state|department\w*|dept|abteilung|bereich|team|category|categories|cat"
    r"|kategorie|function|brand|company|companyid|org|organization|mandant|client|tenant|site|portal|lang\w*|locale|l|hl"
    r"|sprache|src|source\w*|channel|medium|campaign\w*|referr?er|referral|via|trk\w*|tracking\w*|gh_src|feed\w*|embed|for"
    r"|mode|theme|template|layout|device|mobile|session\w*|sid|token|hash|ts|time\w*|date|year|jahr|v|ver|version|cws|board"
    r"|b|format|type|typ|display|action|redirect\w*|return\w*|cache\w*|nocache|rnd)(?:\[.*\])?",
    re.IGNORECASE,
)
_FORMS_TEXT: Final = """
apply application applications bewerben bewerbung bewerbungsformular candidature postuler solicitud sollicitatie
solliciteren new form formular detail details index
"""
_FORMS: Final = frozenset(_FORMS_TEXT.split())
_COMES_FROM: Final = re.compile(r"source|src|ref|referr?er|referral|via|trk|channel|campaign|medium", re.IGNORECASE)
"""Parameters that usually say where a visitor came from; a number in them may be an id."""
_SOURCE_TAGS: Final = frozenset({"gh_src"})
"""Parameters that always say where a visitor came from."""
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_WORD: Final = re.compile(r"[^\W\d_]+")
_EXTENSION: Final = re.compile(r"\.(?:html?|php\d?|aspx?|jsp|do|pdf|xml)$", re.IGNORECASE)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def is_page_of_one_job(address: Address) -> bool:
    """Return whether the address looks like one job: an id in the path or a parameter, or a name of several words.

    /careers, /jobs?page=2, /departments/sales and /apply do not. Whether several jobs of the customer have the same
    address is not known here; `identifiers.decide` counts them.
    """
    if known_job(address):
        return True
    for name, value in address.query:
        if not _NO_JOB_PARAMETERS.fullmatch(name) and (
            _is_id(value) or (_JOB_PARAMETERS.match(name) and _names_a_job(value))
        ):
            return True
    if any(_SEARCH.fullmatch(name) for name, _ in address.query):
        return False
    pieces = [_EXTENSION.sub("", each) for each in (*address.segments, *_pieces_of(address.fragment)) if each]
    while pieces and pieces[-1].lower() in _FORMS:
        pieces.pop()
    folders = [piece.lower() for piece in pieces[:-1]]
    if not pieces or (folders and folders[-1] in _PARENTS) or _GRANDPARENTS.intersection(folders[-2:]):
        return False
    if _is_id(pieces[-1]) or any(_is_long_id(each) and parent not in _PARENTS for parent, each in _pairs(pieces)):
        return True
    is_below_a_folder = len(pieces) > 1 or bool(_SITES_OF_JOBS.match(address.host))
    return is_below_a_folder and _names_a_job(pieces[-1])


def untracked_url(url: str) -> str | None:
    """Return the address without the parameters that say where a visitor came from, and without "#apply".

    None where nothing is left out, or where the rest is not the page of one job. Compare it with whole addresses only:
    if two addresses differ in such a parameter, it may be the id.
    """
    address = read(url)
    if address is None or known_job(address):
        return None
    query = tuple((name, value) for name, value in address.query if not _COMES_FROM.fullmatch(name) or _is_id(value))
    query = tuple(pair for pair in query if pair[0].lower() not in _SOURCE_TAGS)
    fragment = "" if address.fragment.lower() in _FORMS else address.fragment
    plain = address._replace(query=query, fragment=fragment)
    return str(plain) if plain != address and is_page_of_one_job(plain) else None


def _pieces_of(fragment: str) -> list[str]:
    return [piece for piece in re.split(r"[/?&!]", fragment) if piece]


def _pairs(pieces: list[str]) -> list[tuple[str, str]]:
    return list(zip(["", *(each.lower() for each in pieces)], pieces, strict=False))


def _is_id(text: str) -> bool:
    """Return whether the text is a number other than a year, or a word with a number of at least three digits."""
    digits = re.sub(r"[^0-9]", "", text)
    if not digits or _YEAR.fullmatch(digits):
        return False
    return text.isdecimal() or _is_long_id(text)


def _is_long_id(text: str) -> bool:
    return any(len(number) >= 3 and not _YEAR.fullmatch(number) for number in re.findall(r"[0-9]+", text)) or bool(
        re.fullmatch(r"(?=(?:[^0-9]*[0-9]){3})[0-9a-zA-Z-]{8,}", text) and not _WORD.fullmatch(text)
    )


def _names_a_job(text: str) -> bool:
    """Return whether the text has several words, of which at least one is specific to a job."""
    words = _WORD.findall(text.lower().translate(_UMLAUTS))
    return (
        len(words) > 1
        and words[0] not in _FIRST_WORDS_OF_LISTS
        and any(len(word) > 2 and word not in _LISTS for word in words)
    )
