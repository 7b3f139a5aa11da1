"""Job titles as people write them a second time: for a job board, in another house's style, in a hurry."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Final

Replacements = Mapping[str, tuple[str, ...]]

_MARKER: Final = re.compile(
    r"(?<!\s)\s*[(\[](?:[mwfdxi](?:\s*[/|,*]\s*[mwfdxi])+|gn|all genders|alle geschlechter)[)\]]", re.IGNORECASE
)
_MARKERS: Final = {
    "en": (" (m/f/d)", " (f/m/d)", " (m/f/x)", " (all genders)", " [f/m/x]", " m/f/d"),
    "de": (" (m/w/d)", " (w/m/d)", " (d/m/w)", " (m|w|d)", " m/w/d", " (gn)", " (alle Geschlechter)", " (m/w/x)"),
}
_PLACED: Final = ("{} - {city}", "{} in {city}", "{} | {city}", "{} ({city})", "{}, {city}", "{city}: {}")
_NOISE: Final = {
    "en": (
        "We're hiring: {}", "Now hiring: {}", "{} - apply now!", "🚀 {}", "URGENT: {}", "{} wanted", "{} (start now)",
    ),
    "de": (
        "Wir suchen: {}", "Jetzt bewerben: {}", "{} gesucht!", "{} - ab sofort", "⭐ {}", "TOP-JOB: {}", "{} dringend",
    ),
}  # fmt: skip
_LEVELS: Final[Replacements] = {
    "Senior": ("Sr.", "Sr", "Snr.", "Sen."),
    "Junior": ("Jr.", "Jr", "Jun."),
    "Lead": ("Leading", "Team Lead"),
    "Principal": ("Princ.",),
    "Working Student": ("Werkstudent", "Working Student (20h)", "Werkstudent:in"),
    "Werkstudent": ("Working Student", "Werkstudent:in", "Werkstudierende"),
    "Auszubildender": ("Azubi", "Ausbildung", "Auszubildende/r"),
    "Leitender": ("Ltd.", "Leitende:r"),
    "II": ("2",),
    "III": ("3",),
}
_SHORT: Final[Replacements] = {
    "Site Reliability Engineer": ("SRE", "Site Reliability Eng."),
    "Sales Development Representative": ("SDR", "Sales Dev. Rep."),
    "Key Account Manager": ("KAM", "Key Account Mgr."),
    "Database Administrator": ("DBA", "Database Admin"),
    "Machine Learning": ("ML",),
    "Human Resources": ("HR",),
    "Full Stack": ("Fullstack", "Full-Stack"),
    "Frontend": ("Front-End", "Front End"),
    "Backend": ("Back-End", "Back End"),
    "Engineering": ("Eng.",),
    "Engineer": ("Eng.", "Engr."),
    "Developer": ("Dev", "Dev."),
    "Manager": ("Mgr.", "Mgr"),
    "Representative": ("Rep", "Rep."),
    "Associate": ("Assoc.",),
    "Assistant": ("Asst.",),
    "Specialist": ("Spec.",),
    "Coordinator": ("Coord.",),
    "Director": ("Dir.",),
    "Operations": ("Ops",),
    "Business": ("Bus.",),
    "Accounts Payable": ("AP",),
    "Administrator": ("Admin",),
    "Sachbearbeiter": ("SB",),
    "Mitarbeiter": ("MA",),
    "Referent": ("Ref.",),
    "Medizinische Fachangestellte": ("MFA",),
    "Operationstechnischer Assistent": ("OTA",),
    "Assistenz der Geschäftsführung": ("Assistenz GF", "Assistenz d. Geschäftsführung"),
    "Teilzeit": ("TZ",),
    "Part-time": ("PT",),
    " und ": (" & ", " u. "),
    " and ": (" & ",),
}
_ENGLISH_OF: Final = {
    "Softwareentwickler": "Software Developer",
    "Entwicklungsingenieur": "Development Engineer",
    "Systemadministrator": "System Administrator",
    "Produktmanager": "Product Manager",
    "Personalreferent": "HR Officer",
    "Vertriebsingenieur": "Sales Engineer",
    "Filialleiter": "Store Manager",
    "Kundenberater": "Customer Advisor",
    "Staplerfahrer": "Forklift Operator",
    "Schichtleiter": "Shift Supervisor",
    "Strategischer Einkäufer": "Strategic Buyer",
    "Physiotherapeut": "Physical Therapist",
    "Finanzbuchhalter": "Accountant",
    "Grafikdesigner": "Graphic Designer",
    "Datenbankadministrator": "Database Administrator",
    "Eventmanager": "Event Manager",
}
_GERMAN_OF: Final = {english: german for german, english in _ENGLISH_OF.items()}
_PERSON: Final = re.compile(r"\b(?!Junior|Senior|Leitender|Auszubildender)(\w{3,}(?:er|eur|ent|or|ist))\b(?![:*/])")
_ENDINGS: Final = (":in", "*in", "/in", "/-in", "_in", "(in)")
_TRANSCRIBED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


def restyled(title: str, rng: random.Random, *, city: str, german: bool) -> str:
    """The title in another house's style: marker, place or capitals differ, every word of it stays."""
    text = title
    if rng.random() < 0.5:
        text = _marked(text, rng, german=german)
    if city and rng.random() < 0.2:
        text = rng.choice(_PLACED).format(text, city=city)
    return text.upper() if rng.random() < 0.03 else text


def rewritten(title: str, rng: random.Random, *, city: str, german: bool) -> str:
    """The title as somebody writes it who knows the job: abbreviated, turned around, advertised, mistyped.

    Never the title itself, unless it is blank.
    """
    text = _MARKER.sub("", title).strip()
    if rng.random() < 0.08:
        text = _replaced(text, {each: (other,) for each, other in {**_ENGLISH_OF, **_GERMAN_OF}.items()}, rng)
    if rng.random() < 0.65:
        text = _replaced(text, _LEVELS, rng)
    if rng.random() < 0.45:
        text = _replaced(text, _SHORT, rng)
    if rng.random() < 0.15:
        text = _turned_around(text, rng)
    if german and rng.random() < 0.2:
        text = _PERSON.sub(rf"\1{rng.choice(_ENDINGS)}", text, count=1)
    if rng.random() < 0.12:
        text = _mistyped(text, rng)
    if rng.random() < 0.05:
        text = text.translate(_TRANSCRIBED)
    if rng.random() < 0.5:
        text = _marked(text, rng, german=german)
    if city and rng.random() < 0.3:
        text = rng.choice(_PLACED).format(text, city=city)
    if rng.random() < 0.15:
        text = rng.choice(_NOISE["de" if german else "en"]).format(text)
    if rng.random() < 0.06:
        text = rng.choice((text.upper(), text.lower()))
    return _marked(text, rng, german=german) if text == title else text


def _marked(text: str, rng: random.Random, *, german: bool) -> str:
    """The text with another gender marker than it has, or with none where it has one."""
    bare = _MARKER.sub("", text).strip()
    marked = [bare + marker for marker in _MARKERS["de" if german else "en"]]
    return rng.choice([other for other in (bare, *marked) if other != text])


def _replaced(text: str, replacements: Replacements, rng: random.Random) -> str:
    """The first of the words that occurs, written in another way."""
    for word, others in replacements.items():
        if found := re.search(rf"(?<!\w){re.escape(word)}(?!\w)" if word.strip() == word else word, text):
            return text[: found.start()] + rng.choice(others) + text[found.end() :]
    return text


def _turned_around(text: str, rng: random.Random) -> str:
    words = text.split()
    if not 2 <= len(words) <= 5 or not all(word.isalpha() for word in words):
        return text
    if words[0] in _LEVELS:
        return rng.choice(("{1}, {0}", "{1} ({0})", "{1} - {0}")).format(words[0], " ".join(words[1:]))
    return f"{words[-1]}, {' '.join(words[:-1])}"


def _mistyped(text: str, rng: random.Random) -> str:
    words: Sequence[re.Match[str]] = list(re.finditer(r"[^\W\d_]{6,}", text))
    if not words:
        return text
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return rng.choice((swapped, text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]))
