"""Word lists that generated jobs are composed of, English (`en`) and German (`de`)."""

from typing import Final, NamedTuple


class Department(NamedTuple):
    """A department with the titles it hires for."""

    code: str
    category: str
    names: dict[str, str]
    titles: dict[str, tuple[str, ...]]


def _titles(words: str) -> tuple[str, ...]:
    return tuple(title.strip() for title in words.split(";"))


DEPARTMENTS: Final = (
    Department(
        "ENG",
        "Information Technology",
        {"en": "Engineering", "de": "Softwareentwicklung"},
        {
            "en": _titles(
                "Backend Engineer; Frontend Engineer; Full Stack Developer; Site Reliability Engineer; Data "
                "Engineer;"
                "Machine Learning Engineer; Android Developer; iOS Developer; Security Engineer; QA Engineer;"
                "Platform Engineer; Engineering Manager; Embedded Software Engineer; Database Administrator"
            ),
            "de": _titles(
                "Softwareentwickler Java; Softwareentwickler Python; Frontend-Entwickler; DevOps-Ingenieur;"
                "Systemadministrator; IT-Sicherheitsbeauftragter; Testautomatisierer; SAP-Entwickler ABAP;"
                "Entwicklungsingenieur Embedded Systems; Fachinformatiker Systemintegration; "
                "Datenbankadministrator"
            ),
        },
    ),
    Department(
        "SAL",
        "Sales",
        {"en": "Sales", "de": "Vertrieb"},
        {
            "en": _titles(
                "Account Executive; Sales Development Representative; Key Account Manager; Sales Engineer;"
                "Customer Success Manager; Store Manager; Retail Sales Associate; Regional Sales Director"
            ),
            "de": _titles(
                "Vertriebsmitarbeiter Innendienst; Außendienstmitarbeiter; Key Account Manager; Filialleiter;"
                "Verkäufer Einzelhandel; Kundenberater; Vertriebsingenieur; Gebietsverkaufsleiter"
            ),
        },
    ),
    Department(
        "OPS",
        "Logistics",
        {"en": "Operations", "de": "Lager und Logistik"},
        {
            "en": _titles(
                "Warehouse Associate; Forklift Operator; Supply Chain Planner; Operations Manager; Delivery "
                "Driver;"
                "Inventory Specialist; Facilities Coordinator; Procurement Specialist; Shift Supervisor"
            ),
            "de": _titles(
                "Fachkraft für Lagerlogistik; Staplerfahrer; Disponent; Berufskraftfahrer; Lagerhelfer;"
                "Produktionsmitarbeiter; Maschinen- und Anlagenführer; Schichtleiter; Strategischer Einkäufer"
            ),
        },
    ),
    Department(
        "CAR",
        "Health Care",
        {"en": "Patient Care", "de": "Pflege und Medizin"},
        {
            "en": _titles(
                "Registered Nurse; Licensed Practical Nurse; Physical Therapist; Medical Assistant; "
                "Pharmacist;"
                "Radiology Technician; Home Health Aide; Clinical Research Coordinator"
            ),
            "de": _titles(
                "Pflegefachkraft; Gesundheits- und Krankenpfleger; Medizinische Fachangestellte; "
                "Physiotherapeut;"
                "Altenpfleger; Assistenzarzt Innere Medizin; Operationstechnischer Assistent; "
                "Heilerziehungspfleger"
            ),
        },
    ),
    Department(
        "FIN",
        "Finance",
        {"en": "Finance", "de": "Finanzen und Controlling"},
        {
            "en": _titles(
                "Accountant; Financial Analyst; Payroll Specialist; Controller; Tax Manager; Internal "
                "Auditor;"
                "Accounts Payable Clerk; Treasury Analyst; Legal Counsel"
            ),
            "de": _titles(
                "Finanzbuchhalter; Bilanzbuchhalter; Controller; Steuerfachangestellter; Lohn- und "
                "Gehaltsbuchhalter;"
                "Kreditorenbuchhalter; Referent Konzernrechnungswesen; Syndikusrechtsanwalt"
            ),
        },
    ),
    Department(
        "MKT",
        "Marketing",
        {"en": "Marketing & Product", "de": "Marketing und Produkt"},
        {
            "en": _titles(
                "Product Manager; Content Marketing Manager; UX Designer; Performance Marketing Manager;"
                "Product Designer; Brand Manager; SEO Specialist; Technical Writer; Event Manager"
            ),
            "de": _titles(
                "Produktmanager; Online-Marketing-Manager; Mediengestalter; Referent "
                "Unternehmenskommunikation;"
                "Grafikdesigner; Social-Media-Manager; E-Commerce-Manager; Eventmanager"
            ),
        },
    ),
    Department(
        "HR",
        "Human Resources",
        {"en": "People", "de": "Personal"},
        {
            "en": _titles(
                "Recruiter; HR Business Partner; People Operations Specialist; Talent Acquisition Partner;"
                "Office Manager; Executive Assistant; Learning and Development Manager"
            ),
            "de": _titles(
                "Personalreferent; Recruiter; Personalsachbearbeiter; HR Business Partner; Assistenz der "
                "Geschäftsführung;"
                "Empfangsmitarbeiter; Referent Personalentwicklung"
            ),
        },
    ),
)

LEVELS: Final = {
    "en": (
        ("", "Mid-Senior Level"),
        ("", "Associate"),
        ("", None),
        ("Senior ", "Mid-Senior Level"),
        ("Junior ", "Entry Level"),
        ("Lead ", "Director"),
        ("Principal ", "Executive"),
        ("Working Student ", "Internship"),
    ),
    "de": (
        ("", "Berufserfahren"),
        ("", "Berufserfahren"),
        ("", None),
        ("Senior ", "Berufserfahren"),
        ("Junior ", "Berufseinsteiger"),
        ("Leitender ", "Führungskraft"),
        ("Werkstudent ", "Student"),
        ("Auszubildender ", "Ausbildung"),
    ),
}
SUFFIXES: Final = {
    "en": ("", "", "", " (m/f/d)", " (f/m/x)", " - Remote", " II", ", Part-time", " (all genders)"),
    "de": (
        " (m/w/d)",
        " (m/w/d)",
        " (w/m/d)",
        " (m/w/x)",
        "",
        " (gn)",
        " in Teilzeit (m/w/d)",
        " - befristet",
    ),
}
OTHER_TITLES: Final = {
    "en": _titles(
        "Pastry Chef; Barista; Electrician; Plumber; Welder; Carpenter; Dental Hygienist; Veterinary Surgeon;"
        "Kindergarten Teacher; Librarian; Hairdresser; Landscape Gardener; Elevator Mechanic; Tram Conductor;"
        "Optician; Journalist; Interpreter; Fitness Trainer; Land Surveyor; Actuary; Crane Rigger; Cloud Architect;"
        "Network Engineer; Compliance Manager; Category Manager; Scrum Master; Translation Specialist; Lab Technician"
    ),
    "de": _titles(
        "Koch; Konditor; Elektroniker für Betriebstechnik; Anlagenmechaniker SHK; Schweißer; Tischler; Tierarzt;"
        "Erzieher; Bibliothekar; Friseur; Landschaftsgärtner; Kfz-Mechatroniker; Straßenbahnfahrer; Augenoptiker;"
        "Redakteur; Dolmetscher; Rettungsschwimmer; Vermessungstechniker; Architekt; Chemielaborant; Dachdecker;"
        "Reinigungskraft; Kellner; Zahnmedizinische Fachangestellte; Qualitätsmanager; Projektleiter Tiefbau;"
        "Servicetechniker; Werkstoffprüfer"
    ),
}
"""Titles that no department here hires for."""
PLACES: Final = {
    "en": (
        ("London", "England", "GB", "EC2A 4NE", "Great Eastern Street"),
        ("Manchester", "England", "GB", "M1 1AE", "Piccadilly"),
        ("Dublin", "Leinster", "IE", "D02 X285", "Grand Canal Street"),
        ("New York", "NY", "US", "10013", "Broadway"),
        ("Austin", "TX", "US", "78701", "Congress Avenue"),
        ("Chicago", "IL", "US", "60606", "West Madison Street"),
        ("San Francisco", "CA", "US", "94105", "Mission Street"),
        ("Seattle", "WA", "US", "98101", "Pike Street"),
        ("Toronto", "ON", "CA", "M5V 2T6", "King Street West"),
        ("Amsterdam", "North Holland", "NL", "1017 CE", "Herengracht"),
        ("Berlin", "Berlin", "DE", "10178", "Rosenthaler Straße"),
    ),
    "de": (
        ("Berlin", "Berlin", "DE", "10178", "Rosenthaler Straße"),
        ("Hamburg", "Hamburg", "DE", "20457", "Am Sandtorkai"),
        ("München", "Bayern", "DE", "80331", "Sendlinger Straße"),
        ("Köln", "Nordrhein-Westfalen", "DE", "50667", "Hohe Straße"),
        ("Frankfurt am Main", "Hessen", "DE", "60311", "Kaiserstraße"),
        ("Stuttgart", "Baden-Württemberg", "DE", "70173", "Königstraße"),
        ("Düsseldorf", "Nordrhein-Westfalen", "DE", "40212", "Königsallee"),
        ("Leipzig", "Sachsen", "DE", "04109", "Petersstraße"),
        ("Nürnberg", "Bayern", "DE", "90402", "Breite Gasse"),
        ("Wien", "Wien", "AT", "1010", "Kärntner Straße"),
        ("Zürich", "Zürich", "CH", "8001", "Bahnhofstrasse"),
    ),
}
COUNTRIES: Final = {
    "GB": "United Kingdom", "IE": "Ireland", "US": "USA", "CA": "Canada", "NL": "Netherlands",
    "DE": "Deutschland", "AT": "Österreich", "CH": "Schweiz",
}  # fmt: skip
CURRENCIES: Final = {"GB": "GBP", "US": "USD", "CA": "CAD", "CH": "CHF"}

HEADINGS: Final = {
    "en": ("About the role", "What you will do", "What you bring", "What we offer"),
    "de": ("Über die Stelle", "Ihre Aufgaben", "Ihr Profil", "Wir bieten"),
}
INTROS: Final = {
    "en": (
        "{org} is growing, and our {team} team in {city} is looking for a {title} who enjoys taking a "
        "problem from the "
        "first question to a result that colleagues and customers use every day.",
        "For more than twenty years {org} has stood for reliable work and fair dealing. To strengthen "
        "{team} at our "
        "{city} site we are hiring a {title} at the earliest possible date.",
        "As {title} you will join a small and friendly {team} team in {city}, report directly to the head "
        "of the "
        "department and shape how {org} works in the years to come.",
        "We believe that good tools and clear responsibilities make good work. {org} offers both: join "
        "{team} in "
        "{city} as {title} and see for yourself.",
    ),
    "de": (
        "{org} wächst weiter. Zur Verstärkung unseres Teams {team} am Standort {city} suchen wir zum "
        "nächstmöglichen "
        "Zeitpunkt Unterstützung als {title}.",
        "Seit mehr als zwanzig Jahren steht {org} für verlässliche Arbeit und ein faires Miteinander. Im "
        "Bereich {team} "
        "in {city} besetzen wir eine unbefristete Stelle als {title}.",
        "Sie möchten Verantwortung übernehmen und etwas bewegen? Als {title} im Bereich {team} in {city} "
        "arbeiten Sie in "
        "einem eingespielten Team mit kurzen Entscheidungswegen und gestalten {org} aktiv mit.",
    ),
}
TASKS: Final = {
    "en": (
        "Own your area from planning to delivery and report on progress to the people who depend on it",
        "Work closely with neighbouring departments so that hand-overs are complete and on time",
        "Keep documentation accurate, short and easy to find",
        "Review the work of colleagues and receive reviews with the same openness",
        "Spot what slows the team down, propose an improvement and see it through",
        "Prepare figures and recommendations for the monthly management meeting",
        "Coach junior colleagues during their first months with us",
        "Make sure that safety, quality and data protection rules are followed every day",
        "Answer questions of customers and partners within one working day",
        "Take part in a fair on-call or shift rotation, planned six weeks ahead",
        "Select and introduce tools together with the team",
    ),
    "de": (
        "Sie verantworten Ihren Bereich von der Planung bis zum Ergebnis und berichten regelmäßig über den Fortschritt",
        "Sie arbeiten eng mit den angrenzenden Abteilungen zusammen und sorgen für vollständige Übergaben",
        "Sie pflegen die Dokumentation und halten sie aktuell und verständlich",
        "Sie erkennen Verbesserungspotenziale, schlagen Maßnahmen vor und setzen diese um",
        "Sie bereiten Kennzahlen und Empfehlungen für die monatliche Besprechung der Geschäftsleitung auf",
        "Sie arbeiten neue Kolleginnen und Kollegen ein und begleiten sie in den ersten Monaten",
        "Sie stellen die Einhaltung der Vorgaben zu Arbeitssicherheit, Qualität und Datenschutz sicher",
        "Sie beantworten Anfragen von Kunden und Partnern zuverlässig innerhalb eines Arbeitstages",
        "Sie beteiligen sich an einem fairen, sechs Wochen im Voraus geplanten Schichtdienst",
    ),
}
REQUIREMENTS: Final = {
    "en": (
        "Several years of experience in a comparable role, or a convincing reason why you will learn it quickly",
        "A completed degree or vocational training in a related field",
        "Confidence with numbers and care for detail",
        "Clear spoken and written English; a second language is welcome",
        "The habit of asking early when something is unclear",
        "Willingness to travel up to ten percent of the time",
        "Sound knowledge of the usual office software, and curiosity for better tools",
        "A valid work permit for the country of employment",
    ),
    "de": (
        "Abgeschlossenes Studium oder eine vergleichbare Berufsausbildung",
        "Mehrjährige Berufserfahrung in einer ähnlichen Position",
        "Sehr gute Deutschkenntnisse in Wort und Schrift, gute Englischkenntnisse von Vorteil",
        "Selbstständige, strukturierte und sorgfältige Arbeitsweise",
        "Sicherer Umgang mit den gängigen MS-Office-Anwendungen",
        "Teamgeist, Zuverlässigkeit und Freude am Kontakt mit Menschen",
        "Führerschein der Klasse B und gelegentliche Reisebereitschaft",
    ),
}
BENEFITS: Final = {
    "en": (
        "30 days of paid leave and flexible hours",
        "A pension plan with an employer contribution of five percent",
        "A learning budget of 1,500 a year and time to use it",
        "Free public transport ticket or bike leasing",
        "Up to three days a week from home, where the work allows it",
        "Parental leave beyond the legal minimum",
    ),
    "de": (
        "30 Tage Urlaub und flexible Arbeitszeiten",
        "Betriebliche Altersvorsorge mit 20 % Arbeitgeberzuschuss",
        "Unbefristeter Arbeitsvertrag und ein sicherer Arbeitsplatz",
        "Deutschlandticket oder JobRad",
        "Mobiles Arbeiten an bis zu drei Tagen in der Woche",
        "Weiterbildung während der Arbeitszeit",
    ),
}
STAGES: Final = {
    "en": _titles(
        "Application Review; Phone Screen; Hiring Manager Interview; Team Interview; Reference Check; Offer; Hired"
    ),
    "de": _titles("Eingang; Telefoninterview; Fachgespräch; Probearbeiten; Zweitgespräch; Angebot; Eingestellt"),
}
FIRST_NAMES: Final = _titles(
    "Jana; Omar; Lea; Thomas; Sofia; Michael; Aylin; Jürgen; Emily; Noah; Priya; Stefan; Chloé; Björn; "
    "Grace; Mateusz; "
    "Hannah; Luca; Fatima; Daniel"
)
LAST_NAMES: Final = _titles(
    "Fischer; Haddad; Müller; O'Connor; Schmidt; Nguyen; Weber; Kowalski; Yılmaz; Smith; García; Krüger; "
    "Johnson; Rossi; "
    "Patel; Wagner; Brown; Lindström; Schäfer; Dubois"
)
ORGANIZATIONS: Final = _titles(
    "Acme, Inc.; Nordlicht Logistik GmbH; Blue Harbor Health; Rheintal Maschinenbau AG; Pixelwerk GmbH; "
    "Summit Retail Group; "
    "Kranich Kliniken gGmbH; Lighthouse Analytics Ltd; Alpenblick Hotels; Greenfield Foods; Stadtwerke "
    "Musterstadt; "
    "Orbit Software B.V."
)
TOOLS: Final = {
    "greenhouse": "Greenhouse",
    "personio": "Personio",
    "smartrecruiters": "SmartRecruiters",
    "workday": "Workday",
    "successfactors": "SAP SuccessFactors",
    "lever": "Lever",
    "teamtailor": "Teamtailor",
    "softgarden": "softgarden",
    "recruitee": "Recruitee",
}
