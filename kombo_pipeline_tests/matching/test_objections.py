"""What speaks against a pair of jobs that share an identifier, by kind; as many pairs that must pass as must not."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kombo_pipeline.matching.objections import Doubt, Side, confirms, in_words, objections


def side(text: str) -> Side:
    """ "title @ location # employment type": what follows a sign is optional."""
    rest, _, employment_type = text.partition(" # ")
    title, _, location = rest.partition(" @ ")
    return Side(title.strip(), location.strip() or None, employment_type.strip() or None)


def codes(own: str, ats: str) -> list[str]:
    return [doubt.code for doubt in objections(side(own), side(ats))]


OBJECTED = {
    "place": [
        ("Nurse @ Berlin", "Nurse @ Hamburg"),
        ("Pflegefachkraft @ Köln", "Pflegefachkraft @ Bonn, Berlin"),
        ("Verkäufer Köln", "Verkäufer @ München"),
        ("Koch (m/w/d) in Garching", "Koch (m/w/d) @ Hamburg"),
        ("Store Associate in PA - Pittston", "Store Associate @ Hudson, NY"),
        ("Ingénieur logiciel @ Lyon", "Ingénieur logiciel @ Paris, France"),
        ("Vendedor @ Madrid", "Vendedor @ Barcelona, España"),
        ("Verkoper @ Amsterdam", "Verkoper @ Maastricht, Nederland"),
        ("Cameriere @ Milano", "Cameriere @ Roma, Italia"),
        ("Engineer @ Boston, MA", "Engineer @ Austin, TX"),
        ("Engineer @ Springfield, IL", "Engineer @ Springfield, MA"),
        ("Engineer @ Portland, OR", "Engineer @ Portland, ME"),
        ("Arzt @ Frankfurt (Oder)", "Arzt @ Frankfurt am Main"),
        ("Verkäufer @ Essen", "Verkäufer @ Bochum"),
        ("Verkäufer @ Düsseldorf", "Verkäufer @ Köln"),
        ("Verkäufer @ Dachau", "Verkäufer @ Garching"),
        ("Engineer @ San Francisco", "Engineer @ San Diego"),
        ("Engineer @ Germany", "Engineer @ France"),
        ("Engineer @ Berlin", "Engineer @ Frankreich"),
        ("Engineer @ Bayern", "Engineer @ Hamburg"),
        ("Engineer @ Remote, Germany", "Engineer @ Remote - United States"),
        ("Engineer @ Berlin; München", "Engineer @ Hamburg; Köln"),
        ("Engineer @ DE-Berlin", "Engineer @ US-TX-Austin"),
        ("Engineer @ 10115 Berlin", "Engineer @ 50667 Köln"),
    ],
    "level": [
        ("Junior Software Engineer", "Senior Software Engineer"),
        ("Software Engineer", "Senior Software Engineer"),
        ("Sr. Data Analyst", "Jr. Data Analyst"),
        ("Software Engineer I", "Software Engineer II"),
        ("Software Engineer 1", "Software Engineer 3"),
        ("Principal Engineer, Storage", "Staff Engineer, Storage"),
        ("Store Manager", "Assistant Store Manager"),
        ("Geschäftsführer Einzelhandel", "Stellvertretender Geschäftsführer Einzelhandel"),
        ("Oberarzt Kardiologie", "Assistenzarzt Kardiologie"),
        ("Director of Sales", "Sales Manager"),
        ("Développeur junior", "Développeur senior"),
        ("Desarrollador junior", "Desarrollador senior"),
        ("Senior Entwickler", "Junior Developer"),
    ],
    "year": [
        ("Ausbildung Mechatroniker 2025", "Ausbildung Mechatroniker 2026"),
        ("Ausbildung Koch 2025/26", "Ausbildung Koch 2026/27"),
        ("Software Engineer Intern, Summer 2026", "Software Engineer Intern, Fall 2026"),
        ("Azubi Fachinformatiker ab 01.09.2026", "Azubi Fachinformatiker ab 01.09.2027"),
        ("New Grad 2024: Engineer", "New Grad 2025: Engineer"),
        ("Duales Studium BWL 2026", "Duales Studium BWL 2027"),
        ("Ausbildung Kauffrau 2026", "Apprenticeship Office Clerk 2027"),
    ],
    "intern": [
        ("Data Analyst", "Data Analyst Intern"),
        ("Praktikum Marketing", "Werkstudent Marketing"),
        ("Marketing Manager", "Praktikant Marketing Manager"),
        ("Ausbildung Elektroniker", "Elektroniker"),
        ("Ausbildung Informatik", "Duales Studium Informatik"),
        ("Stagiaire marketing", "Responsable marketing"),
        ("Becario marketing", "Especialista marketing"),
        ("Stage marketing medewerker", "Marketing medewerker"),
        ("Tirocinio contabilità", "Contabilità"),
        ("Bachelorarbeit Sensorik", "Werkstudent Sensorik"),
    ],
    "contract": [
        ("Verkäufer (m/w/d) Teilzeit", "Verkäufer (m/w/d) Vollzeit"),
        ("Cashier part-time", "Cashier full time"),
        ("Vendeur temps partiel", "Vendeur temps plein"),
        ("Buchhalter befristet", "Buchhalter unbefristet"),
        ("Comptable CDD", "Comptable CDI"),
        ("Verkäufer Minijob", "Verkäufer Vollzeit"),
    ],
    "title": [
        ("Backend Engineer @ Berlin", "Frontend Engineer @ Berlin"),
        ("Neurology Nurse", "Cardiology Nurse"),
        ("Koch @ Berlin", "Buchhalter @ Berlin"),
        ("Sachbearbeiter Einkauf", "Sachbearbeiter Lohnbuchhaltung"),
        ("Comptable", "Infirmier"),
        ("Cocinero", "Enfermera"),
        ("Elettricista", "Cameriere"),
        ("Schoonmaker", "Vrachtwagenchauffeur"),
        ("Software Engineer, Payments", "Software Engineer, Compiler Infrastructure Tooling"),
        ("Elektroniker für Betriebstechnik", "Operationstechnischer Assistent"),
        ("Redakteur (m/w/d)", "Krankenpfleger (m/w/d)"),
        # in two languages, but of two occupations
        ("Dachdecker (m/w/d)", "Android Developer"),
        ("Tierarzt (m/w/d)", "Sales Engineer"),
        ("Infirmière", "Truck Driver"),
        ("Camarero", "Payroll Accountant"),
    ],
}  # fmt: skip

PASSED = {
    "place": [
        ("Nurse @ Berlin", "Nurse @ Berlin, Germany"),
        ("Nurse @ Berlin", "Nurse @ Germany"),
        ("Nurse @ München", "Nurse @ Munich, DE"),
        ("Nurse @ 80331 München", "Nurse @ Muenchen, Bayern"),
        ("Nurse @ München", "Nurse @ Garching bei München"),
        ("Nurse @ Burlingame, CA", "Nurse @ San Mateo, CA"),
        ("Nurse @ Cambridge, MA", "Nurse @ Boston, Massachusetts"),
        ("Nurse @ Berlin; Hamburg", "Nurse @ Hamburg"),
        ("Nurse @ Hamburg", "Nurse @ Multiple Locations"),
        ("Nurse @ Hamburg", "Nurse @ 13 Locations"),
        ("Nurse @ Hamburg", "Nurse @ Remote"),
        ("Nurse @ Hamburg", "Nurse @ bundesweit"),
        ("Nurse @ Hamburg", "Nurse"),
        ("Nurse @ Hamburg", "Nurse @ HQ"),
        ("Nurse @ Hamburg", "Nurse @ Berlin; Kleinkleckersdorf"),
        ("Nurse @ Hamburg", "Nurse @ Werk 3"),
        ("Nurse Köln", "Nurse @ Cologne"),
        ("Nurse Austin", "Nurse @ Chicago, IL; Austin, TX"),
        ("Nurse @ Zentrale", "Nurse Köln @ Köln"),
        ("Nurse @ Bengaluru", "Nurse @ Bangalore, IN"),
        ("Nurse @ Toronto, CA", "Nurse @ Toronto, ON, Canada"),
        ("Nurse @ Hanover", "Nurse @ Hanover, NH"),
        ("Nurse @ LA", "Nurse @ Los Angeles, CA"),
        ("Nurse @ NYC", "Nurse @ New York, NY"),
        ("Nurse @ Wien", "Nurse @ Vienna, Austria"),
        ("Nurse @ Den Haag", "Nurse @ The Hague, Netherlands"),
        ("Nurse @ Bahnhofstr. 5, Bonn", "Nurse @ Bonn"),
        ("Nurse @ 5001 Madison Ave", "Nurse @ 5001 Madison Ave, Sacramento, CA 95841"),
    ],
    "level": [
        ("(Senior) Consultant Data", "Consultant Data"),
        ("(Senior) Consultant Data", "Senior Consultant Data"),
        ("Junior / Senior Consultant Data", "Senior Consultant Data"),
        ("Sr Data Analyst", "Senior Data Analyst"),
        ("Software Engineer", "Junior Software Engineer"),
        ("Software Engineer II", "Software Engineer 2"),
        ("Software Engineer", "Software Engineer II"),
        ("Sennior Data Analyst", "Senior Data Analyst"),
        ("Verkäufer 20 Std.", "Verkäufer 30 Std./Woche"),
        ("Fachkraft 80-100 %", "Fachkraft 60 - 80 %"),
        ("Filialleiter Köln", "Store Manager Köln"),
        ("Executive Assistant", "Executive Assistant"),
        ("Fachkraft 24/7", "Fachkraft"),
    ],
    "year": [
        ("Ausbildung Koch 2026", "Ausbildung Koch"),
        ("Ausbildung Koch 2025/26", "Ausbildung Koch 2026"),
        ("Ausbildung Koch ab 1.8.2026", "Ausbildung Koch zum 01.09.2026"),
        ("Intern Software, Summer 2026", "2026 Software Intern"),
        ("Verkäufer 20-30 Std.", "Verkäufer 25-30 Std."),
    ],
    "intern": [
        ("Praktikum Marketing", "Intern Marketing"),
        ("Azubi Koch", "Ausbildung zum Koch (m/w/d)"),
        ("Werkstudent Marketing", "Working Student Marketing"),
        ("Praktikum / Werkstudent Marketing", "Werkstudent Marketing"),
        ("Marketing # Internship", "Marketing Intern"),
        ("Data Scientist # INTERNSHIP", "Data Scientist # FULL_TIME"),
        ("Alternance comptabilité", "Apprenti comptabilité"),
        ("Software Engineer Itnern", "Software Engineer Intern"),
        ("Softwareentwickl…", "Softwareentwicklung Praktikum"),
    ],
    "contract": [
        ("Verkäufer Vollzeit/Teilzeit", "Verkäufer Teilzeit"),
        ("Verkäufer Teilzeit", "Verkäufer"),
        ("Verkäufer # FULL_TIME", "Verkäufer # PART_TIME"),
        ("Verkäufer Teilzeit", "Verkäufer # FULL_TIME"),
        ("Vendeur CDI temps plein", "Vendeur CDI"),
    ],
    "title": [
        ("Software Engineer (m/w/d)", "Software Engineer (f/m/x)"),
        ("Data Engineer, Payments", "Payments Data Engineer"),
        ("Softwareentwickler:in Java", "Softwareentwickler Java (gn)"),
        ("Sachbearbeiter Kreditorenbuchhaltung", "Sachbearbeiter/in Kreditoren-Buchhaltung"),
        ("Registered Nurse @ Berlin", "Registered Nurse - Night Shift Weekend @ Berlin"),
        ("Infirmier(ère) de nuit", "Infirmière de nuit H/F"),
        ("Vendedor/a de tienda", "Vendedora de tienda"),
        ("Impiegato/a contabile", "Impiegata contabile"),
        ("Medewerker klantenservice", "Klantenservice medewerker (m/v/x)"),
        ("Data Analyst (No Sponsorship)", "Data Analyst"),
        ("Mechatronker", "Mechatroniker (m/w/d)"),
        ("", "Nurse"),
    ],
}  # fmt: skip

ACROSS_LANGUAGES = [
    ("Krankenpfleger (m/w/d)", "Registered Nurse"),
    ("Pflegefachkraft Intensivstation", "ICU Nurse"),
    ("LKW-Fahrer (m/w/d)", "Truck Driver"),
    ("Softwareentwickler (m/w/d)", "Software Engineer"),
    ("Mitarbeiter im Vertriebsinnendienst", "Inside Sales Representative"),
    ("Filialleiter (m/w/d)", "Store Manager"),
    ("Buchhalter", "Accountant"),
    ("Reinigungskraft (m/w/d)", "Cleaner"),
    ("Hausmeister", "Janitor"),
    ("Personalreferent", "HR Business Partner"),
    ("Sachbearbeiter Einkauf", "Purchasing Clerk"),
    ("Lagermitarbeiter (m/w/d)", "Warehouse Associate"),
    ("Koch (m/w/d)", "Line Cook"),
    ("Elektroniker für Betriebstechnik", "Industrial Electrician"),
    ("Steuerfachangestellte", "Tax Assistant"),
    ("Erzieher (m/w/d)", "Preschool Teacher"),
    ("Maschinenbauingenieur", "Mechanical Engineer"),
    ("Kundenberater im Außendienst", "Field Sales Consultant"),
    ("Teamleiter Kundenservice", "Customer Service Team Lead"),
    ("Responsable de la fiabilité réseau", "Network Reliability Lead"),
    ("Ingénieur logiciel", "Software Engineer"),
    ("Chargé de recrutement", "Talent Acquisition Specialist"),
    ("Conducteur poids lourd", "Truck Driver"),
    ("Ingeniero de calidad", "Quality Engineer"),
    ("Dependiente de tienda", "Shop Assistant"),
    ("Enfermera", "Nurse"),
    ("Addetto alle vendite", "Sales Associate"),
    ("Sviluppatore software", "Software Developer"),
    ("Verpleegkundige", "Nurse"),
    ("Magazijnmedewerker", "Warehouse Worker"),
    ("Inżynier Przemysłowy", "Industrial Engineer"),
    ("Sprzedawca", "Shop Assistant"),
    ("Инженер-программист", "Software Engineer"),
    ("软件工程师", "Software Engineer"),
    ("Software Engineer", "Ingénieur logiciel (H/F)"),
    ("Krankenpfleger", "Infirmier"),
]

objected = [(kind, *pair) for kind, pairs in OBJECTED.items() for pair in pairs]
passed = [pair for pairs in PASSED.values() for pair in pairs]


@pytest.mark.parametrize(("kind", "own", "ats"), objected)
def test_what_speaks_against_a_pair_is_found_from_either_side(kind: str, own: str, ats: str) -> None:
    assert kind in codes(own, ats)
    assert kind in codes(ats, own)


@pytest.mark.parametrize(("own", "ats"), passed)
def test_one_job_written_in_two_ways_is_not_objected_to(own: str, ats: str) -> None:
    assert objections(side(own), side(ats)) == ()
    assert objections(side(ats), side(own)) == ()


@pytest.mark.parametrize(("own", "ats"), ACROSS_LANGUAGES)
def test_a_title_in_another_language_is_no_objection(own: str, ats: str) -> None:
    assert codes(own, ats) == []
    assert codes(ats, own) == []


@pytest.mark.parametrize(
    ("kind", "own", "ats"),
    [
        ("place", "Krankenpfleger @ Berlin", "Registered Nurse @ Hamburg"),
        ("level", "Senior Softwareentwickler", "Junior Software Engineer"),
        ("year", "Ausbildung Koch 2026", "Apprentice Cook 2027"),
        ("intern", "Praktikum Buchhaltung", "Accountant"),
        ("contract", "Reinigungskraft Teilzeit", "Cleaner full time"),
    ],
)
def test_all_but_the_title_objects_across_languages(kind: str, own: str, ats: str) -> None:
    assert codes(own, ats) == [kind]


def test_titles_confirm_only_where_they_can_be_compared() -> None:
    assert confirms(side("Data Engineer"), side("Data Engineer (m/w/d)"))
    assert not confirms(side("Data Engineer"), side("Nurse"))
    assert not confirms(side("Krankenpfleger"), side("Registered Nurse"))
    assert not confirms(side(""), side("Nurse"))


def test_doubts_are_told_in_words() -> None:
    assert in_words(objections(side("Nurse @ Berlin"), side("Nurse @ Hamburg"))) == "but Berlin and Hamburg"
    assert in_words(objections(side("Junior Cook"), side("Senior Cook"))) == "but Junior and Senior"
    assert in_words(objections(side("Cook"), side("Senior Cook"))) == "but only the ATS job says Senior"
    assert in_words(objections(side("Cook Intern"), side("Cook"))) == "but only the own job says Intern"
    assert in_words([Doubt("year", "2025", "2026"), Doubt("title", "“A”", "“B”")]) == "but 2025 and 2026, “A” and “B”"
    assert in_words([]) == ""


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from([text for _, *pair in objected for text in pair] + [text for pair in passed for text in pair]),
)
SIDES = st.builds(
    Side, TEXTS, st.none() | TEXTS, st.none() | st.sampled_from(["FULL_TIME", "Praktikum", "x"]), st.none() | TEXTS
)


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES)
def test_objections_are_symmetric_and_a_job_never_contradicts_itself(one: Side, other: Side) -> None:
    mirrored = tuple(Doubt(doubt.code, doubt.ats, doubt.own) for doubt in objections(other, one))
    assert objections(one, other) == mirrored
    assert confirms(one, other) == confirms(other, one)
    assert objections(one, one) == ()


@pytest.mark.parametrize("title", ["Data Engineer Payments", "Sachbearbeiter Buchhaltung", "Infirmière de nuit"])
@pytest.mark.parametrize("other", ["Data Engineer Payments", "Sachbearbeiter Buchhaltung", "Senior Nurse", "Koch"])
@pytest.mark.parametrize(
    "spelled",
    [
        str.upper,
        str.lower,
        lambda title: title.replace("è", "e"),
        lambda title: f"{title} (m/w/d)",
        lambda title: f"  {title}  ",
        lambda title: " ".join(reversed(title.split())),
        lambda title: " - ".join(title.split()),
    ],
    ids=["upper", "lower", "accents", "gender", "spaces", "order", "dashes"],
)
def test_spelling_markers_and_word_order_change_nothing(title: str, other: str, spelled) -> None:
    before, after = codes(title, other), codes(spelled(title), other)
    assert before == after


def test_long_texts_are_compared_in_linear_time() -> None:
    started = time.process_time()
    for piece in ("a ", "Berlin ", "(", "1/", "Senior ", "20-", "x", "Berlin; ", "A, TX ", "Bad Tölz, ", "ü"):
        text = piece * (200_000 // len(piece))
        objections(Side(text, text, text, text), Side(f"{text}b", text, text, text))
    assert time.process_time() - started < 5


def test_a_pair_takes_well_under_a_tenth_of_a_millisecond_on_average() -> None:
    sides = [side(text) for pair in [*passed, *(pair for _, *pair in objected)] for text in pair][::3]
    started = time.process_time()
    for own in sides:
        for ats in sides:
            objections(own, ats)
    assert (time.process_time() - started) / len(sides) ** 2 < 3e-4
