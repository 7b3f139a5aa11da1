"""Reads the free text of a location into cities, regions, postcodes and workplaces."""

import html
import re
from functools import lru_cache
from typing import Final, NamedTuple

from kombo_pipeline.matching.titles import fold, plain_words, stem

MAX_CHARACTERS: Final = 1000
"""Longer lists of places are cut to this length."""


class Place(NamedTuple):
    """The parts of a location; all are empty where the text is."""

    text: str  # folded words, in the order written
    cities: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()  # canonical names of states and countries
    words: frozenset[str] = frozenset()  # of cities, streets and sites
    numbers: frozenset[str] = frozenset()  # postcodes, house and store numbers
    remote: bool = False
    several: bool = False  # "Multiple Locations", "+ 27 more"
    sites: frozenset[str] = frozenset()  # stems of `words`
    stems: frozenset[str] = frozenset()  # of all words of the text and of `words`


@lru_cache(maxsize=65536)
def read_place(location: str) -> Place:
    """Return the parts of a location such as "Berlin, Germany; Remote", "NY - Plainview", "80331 München"."""
    location = _STATE_THEN_CITY.sub(r"\1; ", html.unescape(location[:MAX_CHARACTERS]))
    folded = fold(location)
    text = " ".join(plain_words(folded))
    if not text:
        return Place("")
    several = _SEVERAL.search(text) is not None
    remote = _REMOTE.search(text) is not None
    cities: set[str] = set()
    regions: set[str] = set()
    words: set[str] = set()
    numbers: set[str] = set()
    for part in _SEPARATOR.split(_SEVERAL.sub(";", _REMOTE.sub(";", folded))):
        name = " ".join(word for word in plain_words(part) if not word.isdecimal()).removeprefix("in ")
        numbers.update(number.lstrip("0") for number in _NUMBER.findall(part))
        if name in REGIONS:
            regions.add(REGIONS[name])
            continue
        *first, last = name.split() or [""]
        if first and len(last) == 2 and last in REGIONS:
            regions.add(REGIONS[last])
            name = " ".join(first)
        if name := CITIES.get(name, name):
            cities.add(name)
            words.update(name.split())
    sites = frozenset(map(stem, words))
    return Place(
        text, frozenset(cities), frozenset(regions), frozenset(words), frozenset(numbers), remote, several,
        sites, sites.union(map(stem, text.split())),
    )  # fmt: skip


_SEPARATOR: Final = re.compile(r"[,;|/()\n•·+]|\s[-–—]\s|\s(?:or|and|und|oder|et)\s")
_REMOTE: Final = re.compile(
    r"\b(?:remote|home ?-?office|telework|teletravail|work from home|wfh|anywhere|hybrid|on ?-?site|in ?-?office"
    r"|deutschlandweit|bundesweit|mobiles arbeiten)\b"
)
_SEVERAL: Final = re.compile(
    r"\b(?:(?:multiple|various|several|\d+|verschiedene) (?:\w+ )?(?:locations?|standorte|orte)|\d+ more)\b|^multiple$"
)
# "Des Moines, IA Denver, CO": boards lose the line breaks of a list.
_STATE_THEN_CITY: Final = re.compile(r"(,\s*(?:[A-Z]{2}|USA))\s+(?=[A-Z])")
_NUMBER: Final = re.compile(r"\d+")


def _table(text: str) -> dict[str, str]:
    return {
        spelling.strip(): line.split(",")[0].strip()
        for line in text.strip().splitlines()
        for spelling in line.split(",")
    }


REGIONS: Final = _table("""
alabama, al
alaska, ak
arizona, az
arkansas, ar
california, ca, calif
colorado, co
connecticut, ct
delaware
new york state, ny
florida, fl
georgia, ga
hawaii, hi
idaho, id
illinois, il
indiana, in
iowa, ia
kansas, ks
kentucky, ky
louisiana, la
maine, me
maryland, md
massachusetts, ma
michigan, mi
minnesota, mn
mississippi, ms
missouri, mo
montana, mt
nebraska, ne
nevada, nv
new hampshire, nh
new jersey, nj
new mexico, nm
north carolina, nc
north dakota, nd
ohio, oh
oklahoma, ok
oregon, or
pennsylvania, pa
rhode island, ri
south carolina, sc
south dakota, sd
tennessee, tn
texas, tx
utah, ut
vermont, vt
virginia, va
washington state, wa
west virginia, wv
wisconsin, wi
wyoming, wy
district of columbia, dc, d c
ontario, on
british columbia, bc
quebec, qc
alberta, ab
manitoba, mb
united states, usa, us, u s, u s a, united states of america, america
united kingdom, uk, gb, great britain
england
scotland
wales
ireland, irland
germany, deutschland, de
austria, osterreich, at
switzerland, schweiz, suisse, ch
france, frankreich, fr
italy, italia, italien, it
spain, espana, spanien, es
portugal, pt
poland, polska, polen, pl
netherlands, nederland, niederlande, nl, the netherlands
belgium, belgien, belgique, be
czechia, czech republic, tschechien, cz
hungary, ungarn, magyarorszag, hu
romania, rumanien, ro
sweden, schweden, sverige, se
denmark, danemark, dk
norway, norwegen, no
finland, finnland, fi
canada, kanada
mexico, mexiko
brazil, brasil, brasilien, br
argentina, argentinien
india, indien
china
japan, jp
south korea, korea
australia, australien, au
turkey, turkei, turkiye
europe, europa, eu
emea
apac
latam
bavaria, bayern
baden wurttemberg
hesse, hessen
north rhine westphalia, nordrhein westfalen, nrw
lower saxony, niedersachsen
saxony, sachsen
""")
"""Spelling of a state or country -> its canonical name. Two letters count only alone or at the end of a part."""

CITIES: Final = _table("""
new york, nyc, new york city, manhattan
san francisco, sf, sfo
los angeles, l a
washington, washington dc, washington d c
philadelphia, philly
saint louis, st louis
saint paul, st paul
munich, munchen, muenchen
cologne, koln, koeln
vienna, wien
zurich, zuerich
geneva, genf, geneve
nuremberg, nurnberg, nuernberg
dusseldorf, duesseldorf
frankfurt, frankfurt am main, frankfurt main, frankfurt a m
hanover, hannover
brunswick, braunschweig
prague, prag, praha
warsaw, warszawa, warschau
krakow, cracow, krakau
wroclaw, breslau
rome, roma, rom
milan, milano, mailand
turin, torino
florence, firenze, florenz
venice, venezia, venedig
naples, napoli, neapel
lisbon, lisboa, lissabon
brussels, bruxelles, brussel
antwerp, antwerpen
the hague, den haag
copenhagen, kobenhavn, kopenhagen
gothenburg, goteborg
athens, athen
bucharest, bucuresti, bukarest
moscow, moskau
istanbul, stambul
bengaluru, bangalore
mumbai, bombay
gurugram, gurgaon
beijing, peking
ho chi minh city, saigon
mexico city, ciudad de mexico, cdmx
montreal
""")
"""Spelling of a city -> its canonical name."""
