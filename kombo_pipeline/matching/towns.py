"""Places on the map: the towns, states and countries that a text names, and whether two jobs may be in one place.

The towns come from GeoNames; `benchmarks/towns.py` writes the table.
"""

import gzip
import html
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from kombo_pipeline.matching.places import CITIES, MAX_CHARACTERS, REGIONS
from kombo_pipeline.matching.titles import fold, plain_words

FILE: Final = Path(__file__).with_name("towns.tsv.gz")
"""Data of GeoNames (geonames.org), licensed under CC BY 4.0."""
DIVIDED: Final = ("US", "CA", "DE")
"""Countries whose states are areas of their own."""
LARGE: Final = 100
"""Thousands of people. Only towns of this size are found inside a longer text: names of smaller ones may be words."""
NEAR_KM: Final = {0: 15, 1: 30, 2: 10}
"""How many of two towns are LARGE -> up to how many kilometres apart they may be one place. Advertisements often name
the large town near the small one; two large towns are two places, unless one is a part of the other."""


class Town(NamedTuple):
    """A row of the table of towns."""

    area: str  # country, or country and state: "fr", "us-tx"
    latitude: float
    longitude: float
    people: int  # in thousands


class Spot(NamedTuple):
    """A place that a text names: a town, with all towns of that name, or an area, with all areas of that name."""

    name: str
    towns: tuple[Town, ...]
    areas: tuple[str, ...]
    is_placed: bool = False
    """Whether the text also names the area of the town."""


class Whereabouts(NamedTuple):
    """The places of a job that the table of towns knows."""

    spots: tuple[Spot, ...] = ()
    is_open: bool = False
    """Whether the job may be elsewhere too: the text says "several locations", or a place is not in the table."""
    is_remote: bool = False


NOWHERE: Final = Whereabouts()


@lru_cache(maxsize=2**14)
def read_location(location: str) -> Whereabouts:
    """Return the places of a location such as "Berlin, Germany; Remote", "US-TX-Austin", "80331 München"."""
    text = fold(_STATE_THEN_CITY.sub(r"\1;", html.unescape(location[:MAX_CHARACTERS])))
    is_open = _SEVERAL.search(text) is not None
    is_remote = _REMOTE.search(text) is not None
    spots: list[Spot] = []
    for entry in _ENTRY.split(_SEVERAL.sub(";", _REMOTE.sub(";", text))):
        parts = [words for part in _PART.split(entry) if (words := _letters(plain_words(part)))]
        found = list(_spots(parts))
        spots += found
        is_open = is_open or (bool(parts) and not found)
    return Whereabouts(_placed(spots), is_open, is_remote)


@lru_cache(maxsize=2**14)
def read_title_towns(title: str) -> tuple[Spot, ...]:
    """Return the towns in a title: large ones anywhere, small ones only after "in" or a postcode, or with a state."""
    title = html.unescape(title[:MAX_CHARACTERS])
    words = plain_words(title)
    found = [spot for said in _AFTER_IN.finditer(title) for spot in _said(said.groups()) if len(spot.name) >= 4]
    stated = [spot for said in _WITH_STATE.finditer(title) for spot in _said(said.groups(""))]
    found += [spot for spot in stated if spot.is_placed]
    elsewhere = {spot.name for spot in stated}  # their state excludes other towns of the name
    at = 0
    while at < len(words):
        for size in (3, 2, 1) if words[at] in _first_words() else ():
            name = " ".join(words[at : at + size])
            towns = [town for town in _known(name) if town.people >= LARGE]
            is_word = len(name) < 4 or name in _WORDS_TOO or name in _AREAS or _is_street(words, at, size)
            if towns and not is_word and name not in elsewhere:
                found.append(Spot(name, _likely(towns), ()))
                at += size - 1
                break
        at += 1
    return tuple(found)


def _said(parts: Iterable[str]) -> tuple[Spot, ...]:
    """Return the towns in pieces of a title that are expected to be places."""
    spots = _placed(list(_spots([_letters(plain_words(part)) for part in parts])))
    return tuple([spot for spot in spots if spot.towns and spot.name not in _WORDS_TOO])


def _is_street(words: list[str], at: int, size: int) -> bool:
    """Return whether the words are the name of a street: "5001 Madison Ave", "900 Boston Post Rd"."""
    return not _STREET_WORDS.isdisjoint(words[at + size : at + size + 2])


def can_be_one(own: Whereabouts, ats: Whereabouts) -> bool:
    """Return whether two jobs may be in one place: one near pair is enough, and an unknown place may be near any."""
    if own.is_open or ats.is_open or not own.spots or not ats.spots:
        return True
    coarse = own.is_remote or ats.is_remote  # remote work is compared by country only
    return any(_near(one, other, coarse=coarse) for one in own.spots for other in ats.spots)


def _near(one: Spot, other: Spot, *, coarse: bool) -> bool:
    if one.towns and other.towns and not coarse:
        if one.name == other.name and not (one.is_placed and other.is_placed):
            return True
        return any(_are_near(here, there) for here in one.towns for there in other.towns)
    ours, theirs = ([area[:2] if coarse else area for area in _areas(spot)] for spot in (one, other))
    return any(here.startswith(there) or there.startswith(here) for here in ours for there in theirs)


def _areas(spot: Spot) -> Iterable[str]:
    return spot.areas or {town.area for town in spot.towns}


def _are_near(here: Town, there: Town) -> bool:
    return _kilometres(here, there) <= NEAR_KM[(here.people >= LARGE) + (there.people >= LARGE)]


def _kilometres(here: Town, there: Town) -> float:
    """Return the distance on a flat map, which is accurate enough below 1,000 km."""
    north = here.latitude - there.latitude
    east = (here.longitude - there.longitude) * math.cos(math.radians((here.latitude + there.latitude) / 2))
    return 111.2 * math.hypot(north, east)


def _letters(words: list[str]) -> list[str]:
    return [word for word in words if not any(map(str.isdecimal, word))]


def _spots(parts: list[list[str]]) -> Iterator[Spot]:
    """Yield the places in the parts of one entry. A part that looks like a street has none."""
    whole = " ".join(word for part in parts for word in part)
    if len(parts) > 1 and (towns := _known(whole)):  # "Halle (Saale)"
        yield Spot(whole, towns, ())
        return
    for part in parts:
        words = list(part)
        while words and (area := _AREAS.get(words[-1])) and (len(words[-1]) == 2 or len(words) == 1):
            yield Spot(words.pop(), (), area)
        while len(words) > 1 and len(words[0]) <= 3 and (area := _AREAS.get(words[0])):
            yield Spot(words.pop(0), (), area)
        for name in (" ".join(words), " ".join([word for word in words if word not in _SITE_WORDS])):
            area, towns = _AREAS.get(name, ()), _known(name)
            if area or towns:
                yield Spot(name, () if area else towns, area)
                break
        else:
            if _STREET_WORDS.isdisjoint(words) and not any(word.endswith(_STREET_ENDINGS) for word in words):
                yield from _within(words)


def _within(words: list[str]) -> Iterator[Spot]:
    """Yield large towns and areas inside a longer text: "Berlin Mitte", "Karriere in Bayern"."""
    at = 0
    while at < len(words):
        for size in (4, 3, 2, 1):
            name = " ".join(words[at : at + size])
            towns = tuple(town for town in _known(name) if town.people >= LARGE)
            area = _AREAS.get(name, ()) if len(name) > 3 else ()
            if towns or area:
                yield Spot(name, towns, area)
                at += size - 1
                break
        at += 1


def _placed(spots: list[Spot]) -> tuple[Spot, ...]:
    """Restrict towns to the areas that the text names; leave out areas that contain one of the towns."""
    areas = [spot for spot in spots if spot.areas]
    placed: list[Spot] = []
    explained: set[str] = set()
    for spot in spots:
        if spot.towns:
            inside = [
                (town, area.name)
                for town in spot.towns
                for area in areas
                if any(town.area.startswith(each) for each in area.areas)
            ]
            # Prefer the towns that lie in the most of the named areas: state and country.
            most = max((sum(town == each for each, _ in inside) for town, _ in inside), default=0)
            towns = [town for town in spot.towns if most and sum(town == each for each, _ in inside) == most]
            explained.update(name for town, name in inside if town in towns)
            placed.append(spot._replace(towns=tuple(towns) or _likely(spot.towns), is_placed=bool(towns)))
    return (*placed, *(area for area in areas if area.name not in explained and not _holds_other(area, areas)))


def _holds_other(area: Spot, areas: list[Spot]) -> bool:
    """Return whether another area lies inside this one: "Bavaria, Germany" is Bavaria."""
    return any(
        inner != outer and inner.startswith(outer) for other in areas for inner in other.areas for outer in area.areas
    )


def _likely(towns: Iterable[Town]) -> tuple[Town, ...]:
    """Return those towns that have at least a tenth of the people of the largest one."""
    largest = max(town.people for town in towns)
    return tuple(town for town in towns if town.people * 10 >= largest)


def _known(name: str) -> tuple[Town, ...]:
    return _table().get(name) or _table().get(CITIES.get(name, ""), ())


@cache
def _first_words() -> frozenset[str]:
    """Return the first words of all names of large towns."""
    large = [name for name, towns in _table().items() if any(town.people >= LARGE for town in towns)]
    return frozenset([name.split()[0] for name in (*large, *CITIES)])


@cache
def _table() -> dict[str, tuple[Town, ...]]:
    found: dict[str, tuple[Town, ...]] = {}
    for line in gzip.decompress(FILE.read_bytes()).decode().splitlines():
        names, area, latitude, longitude, people = line.split("\t")
        town = Town(area, float(latitude), float(longitude), int(people))
        for name in names.split("|"):
            found[name] = (*found.get(name, ()), town)
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAME: Final = r"([A-ZÀ-Ž][\w'.-]+(?: [A-ZÀ-Ž][\w'.-]+){0,2})"
# "Clerk in Garching", "Koch 85748 Garching"
_AFTER_IN: Final = re.compile(rf"(?:\b(?:in|Raum|Standort|bei|à|en|a|te)|\b\d{{5}}) {_NAME}(?= ?(?:$|[,;|()–-]))")
# "(TX - Bay City)", "Driver, Hudson, NC"
_WITH_STATE: Final = re.compile(rf"\b([A-Z]{{2}}) - {_NAME}|{_NAME}, ?([A-Z]{{2}})\b")
_ENTRY: Final = re.compile(r"[;|\n•·+]|\s/\s")
_PART: Final = re.compile(r"[,/():]|\s[-–—]\s|\s(?:or|and|und|oder|et|ou|y|e|en)\s")
_STATE_THEN_CITY: Final = re.compile(r"(,\s*(?:[A-Z]{2}|USA))\s+(?=[A-Z])")
_REMOTE: Final = re.compile(
    r"\b(?:remote|home ?-?office|telework|telearbeit|teletravail|teletrabajo|smart ?working|work from home|wfh"
    r"|anywhere|deutschlandweit|bundesweit|osterreichweit|schweizweit|weltweit|worldwide|thuiswerk\w*)\b"
)
_SEVERAL: Final = re.compile(
    r"\b(?:(?:multiple|various|several|all|\d+|verschiedene|mehrere|diverse|plusieurs|varias|varios|diversi|diverse"
    r"|meerdere) (?:\w+ )?(?:locations?|sites?|standorte|orte|lieux|ubicaciones|lugares|sedi|locaties|plaatsen)"
    r"|\+? ?\d+ (?:more|weitere|others?))\b|^multiple$"
)
_SITE_WORDS: Final = _words("""
    hq headquarters headquarter office offices zentrale hauptsitz standort campus site plant werk region
    raum grossraum greater area metro metropolitan umgebung umkreis near bei nahe in at hybrid onsite vor
    ort on home based based the der die kreis landkreis stadt bureau siege oficina sede kantoor location
    store filiale markt klinik flagship city of state province provincia
""")
_STREET_WORDS: Final = _words("""
    st street ave avenue rd road dr drive blvd boulevard ln lane hwy highway pkwy parkway way ct court rue
    calle via viale corso strasse str weg platz allee gasse ring ufer damm plein laan straat
""")
_STREET_ENDINGS: Final = ("strasse", "str", "allee", "gasse", "platz", "straat", "laan", "weg")
_WORDS_TOO: Final = _words("""
    apex aurora bath caller central columbia deli delta drug dual english enterprise essence field garden google
    grove hall hardwar independence kasa kochin kuche loja manger mason metro mobil mobile nancy nice of orange
    para pest reading roles rosetta ruse russe sale sandy santiago security sofi split spring springs thai tours
    union victoria vista
""")
"""Towns whose names are also words of titles or first names."""

_STATES_OF_US: Final = _words("""
    al ak az ar ca co ct fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok
    or pa ri sc sd tn tx ut vt va wa wv wi wy dc
""")
_OTHER_AREAS: Final = """
us = usa, united states, united states of america, u s a, u s, america, vereinigte staaten, etats unis, estados unidos
us-de = delaware
ca = canada, kanada
ca-08 = on, ontario
ca-02 = bc, british columbia
ca-10 = qc, quebec
ca-01 = ab, alberta
ca-03 = mb, manitoba
ca-07 = ns, nova scotia
de = germany, deutschland, allemagne, alemania, germania, duitsland, deu, ger
de-01 = baden wurttemberg, baden wuerttemberg
de-02 = bavaria, bayern
de-05 = hesse, hessen
de-06 = lower saxony, niedersachsen
de-07 = north rhine westphalia, nordrhein westfalen, nrw
de-08 = rhineland palatinate, rheinland pfalz
de-09 = saarland
de-10 = schleswig holstein
de-11 = brandenburg
de-12 = mecklenburg vorpommern
de-13 = saxony, sachsen
de-14 = saxony anhalt, sachsen anhalt
de-15 = thuringia, thuringen, thueringen
at = austria, osterreich, oesterreich, autriche, oostenrijk, aut
ch = switzerland, schweiz, suisse, svizzera, suiza, zwitserland, che
fr = france, frankreich, francia, frankrijk, fra
it = italy, italien, italia, italie, ita
es = spain, spanien, espana, espagne, spagna, spanje, esp
pt = portugal, prt
nl = netherlands, the netherlands, nederland, niederlande, pays bas, paises bajos, holland, nld
be = belgium, belgien, belgique, belgie, belgica, belgio, bel
lu = luxembourg, luxemburg
gb = united kingdom, uk, great britain, england, scotland, wales, grossbritannien, royaume uni, reino unido, gbr
ie = ireland, irland, irlande, irlanda, ierland
pl = poland, polska, polen, pologne, polonia, pol
cz = czechia, czech republic, tschechien, ceska republika
sk = slovakia, slowakei
hu = hungary, ungarn, magyarorszag
ro = romania, rumanien
bg = bulgaria, bulgarien
rs = serbia, serbien
hr = croatia, kroatien
si = slovenia, slowenien
gr = greece, griechenland
tr = turkey, turkei, turkiye
ua = ukraine
se = sweden, schweden, sverige, suede
dk = denmark, danemark, danmark
no = norway, norwegen, norge
fi = finland, finnland
ee = estonia
lv = latvia
lt = lithuania
il = israel
ae = united arab emirates, uae
sa = saudi arabia
eg = egypt
za = south africa
in = india, indien, inde
cn = china
jp = japan
kr = south korea, korea
tw = taiwan
sg = singapore
my = malaysia
th = thailand
vn = vietnam
ph = philippines
id = indonesia
au = australia, australien
nz = new zealand
mx = mexico, mexiko, mexique
br = brazil, brasil, brasilien
ar = argentina, argentinien
cl = chile
co = colombia, kolumbien
pe = peru
cr = costa rica
"""


def _read_areas() -> dict[str, tuple[str, ...]]:
    """Return name -> all areas it may mean: "in" is India or Indiana, Georgia a country or a state."""
    areas: dict[str, tuple[str, ...]] = {"georgia": ("ge",), "la": ("us-ca",)}  # the country; Los Angeles
    for name, full in REGIONS.items():
        if name in _STATES_OF_US:
            for each in (name, full):
                areas[each] = (*areas.get(each, ()), f"us-{name}")
    for line in _OTHER_AREAS.strip().splitlines():
        code, names = line.split(" = ")
        for name in (code, *names.split(", ")):
            areas[name] = (*areas.get(name, ()), code)
    return areas


_AREAS: Final = _read_areas()
