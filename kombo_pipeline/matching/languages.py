"""Detects the language of a job title, so that titles in two languages are not compared word by word."""

import re
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from typing import Final

from kombo_pipeline.matching.titles import fold, idf_by_stem, plain_words, stem
from kombo_pipeline.matching.word_lists import OCCUPATIONS

MAX_WORDS: Final = 60
MAX_CHARACTERS: Final = 1000
"""Longer titles are cut to this length."""
LONG_WORD: Final = 16
"""An unknown word with this many letters is taken for a German compound."""


@lru_cache(maxsize=2**14)
def languages_of(title: str) -> frozenset[str]:
    """Return the languages of a title ("de", "en", ...), or its script ("cyrillic").

    There are several where it mixes them, none where no word is known. English words that many languages use, such as
    "Sales Manager", count only where no other word is known.
    """
    title = title[:MAX_CHARACTERS]
    folded = fold(title)
    if not folded.isascii():
        for script, first, last in _SCRIPTS:
            if any(first <= character <= last for character in folded):
                return frozenset([script])
    # Two letters are more often a state or an abbreviation ("IL", "DE") than a word.
    small = set(_SMALL_WORD.findall(title))
    words = [word for word in dict.fromkeys(plain_words(title)[:MAX_WORDS]) if len(word) > 2 or word in small]
    votes: dict[str, float] = {}
    for word in words:
        known = _LANGUAGES_OF.get(word, ())
        for language in known or _guessed(word):
            votes[language] = votes.get(language, 0) + (1 / len(known) if known else 0.5)
    most = max(votes.values(), default=0)
    if not votes:
        if not _BORROWED.isdisjoint(words):
            return frozenset(["en"])
        return frozenset(["de"] if _LOOKS_GERMAN.search(title) else [])
    return frozenset([language for language, share in votes.items() if share >= most / 2])


def is_foreign(word: str, *, title: Collection[str], other: Collection[str]) -> bool:
    """Return whether a word belongs to a language of its own title (`title`) that the other title does not use."""
    if word in _BORROWED or not other:
        return False
    known = _LANGUAGES_OF.get(word) or _guessed(word)
    return any(each in title for each in known) and not any(each in other for each in known)


def occupations(words: Iterable[str]) -> frozenset[str]:
    """Return the occupations that words of titles belong to, in any language."""
    return frozenset([name for word in words for name in _occupations_of(word)])


@lru_cache(maxsize=2**14)
def _occupations_of(word: str) -> tuple[str, ...]:
    known, size = _occupation_words(), min(len(word), MAX_WORDS)
    # The end of a compound decides: "Lagerverkauf" is sales.
    ends = (word[start:] for start in range(max(1, size - 4)))
    inside = (word[start:end] for start in range(size - 5) for end in range(size, start + 5, -1))
    return next((known[part] for part in (*ends, *inside) if part in known), ())


@cache
def _occupation_words() -> dict[str, tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for occupation, words in OCCUPATIONS.items():
        for word in dict.fromkeys(words.split()):
            known[word] = (*known.get(word, ()), occupation)
    return known


@lru_cache(maxsize=2**14)
def _guessed(word: str) -> tuple[str, ...]:
    """Return the likely languages of a word that is in no list: by its ending, or because the IDF table has it."""
    if word in _BORROWED or len(word) < 4 or not word.isalpha():
        return ()
    if stem(word) in idf_by_stem():
        return ("en",)
    if len(word) >= LONG_WORD:
        return ("de",)
    return tuple([name for name, endings in _ENDINGS.items() if len(word) >= 7 and word.endswith(endings)])


_LOOKS_GERMAN: Final = re.compile(r"[äöüß]|\b[mwf]\s?/\s?[mwf]\s?/\s?[dx]\b|\(gn\)", re.IGNORECASE)
_SMALL_WORD: Final = re.compile(r"\b[a-z]{1,2}\b")
_SCRIPTS: Final = (
    ("greek", "\u0370", "\u03ff"), ("cyrillic", "\u0400", "\u052f"), ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u06ff"), ("thai", "\u0e00", "\u0e7f"), ("korean", "\uac00", "\ud7a3"),
    ("japanese", "\u3040", "\u30ff"), ("chinese", "\u4e00", "\u9fff"),
)  # fmt: skip

_WORDS: Final = {
    "en": """
    and of for the with to in at on engineer engineering engineers developer development manager management head lead
    leader senior specialist assistant associate officer clerk worker driver nurse nursing teacher cook cleaner seller
    cashier operator technician mechanic electrician plumber carpenter welder painter accountant accounting
    bookkeeper buyer purchasing sales salesperson store shop shift team warehouse customer service support success
    business software hardware data science scientist analyst research researcher designer design architect
    consultant advisor representative account executive director chief intern internship apprentice apprenticeship
    working student trainee graduate human resources recruiter talent people finance financial controller tax legal
    lawyer counsel quality assurance security safety health care caregiver physician doctor pharmacist pharmacy
    medical laboratory supply chain logistics procurement production manufacturing maintenance construction site
    foreman supervisor coordinator planner project program product owner marketing content writer editor
    communications public relations receptionist office administrator administration secretary hotel waiter
    housekeeping kitchen chef baker butcher gardener guard truck delivery courier picker packer machine learning
    cloud network systems system infrastructure reliability full junior principal staff social
    media digital brand growth partner partnerships strategy operations operational facility janitor caretaker
    dental hygienist therapist physiotherapist psychologist counselor kindergarten educator tutor professor
    lecturer postdoctoral fellow test tester testing automation embedded electrical mechanical civil chemical
    process industrial designer insurance claims underwriter investment banking risk compliance audit auditor
    commercial client clients agent front desk experience expert crew club art barista restaurant gym studio
    solutions solution technical technology style enterprise general merchandise fulfillment inbound guest food
    style pharmacy massage solutions systems university summer college global market program corporate
    retail field inside key regional area district branch deputy vehicle car automotive forklift dispatcher
    """,
    "de": """
    und fur der die das im in am mit bei von zur zum als den des oder mitarbeiter mitarbeiterin leiter leiterin
    leitung entwickler entwicklerin ingenieur ingenieurin kaufmann kauffrau kaufleute verkaufer verkauferin berater
    beraterin fahrer fahrerin pfleger pflegerin pflege krankenpfleger altenpfleger koch kochin arzt arztin arzte
    oberarzt facharzt assistenzarzt lehrer lehrerin erzieher erzieherin techniker technikerin mechaniker
    mechatroniker elektriker elektroniker schlosser schweisser maler maurer tischler schreiner dachdecker klempner
    installateur anlagenmechaniker backer metzger fleischer friseur gartner hausmeister reinigung reinigungskraft
    putzkraft lagerist lager logistik einkauf einkaufer vertrieb verkauf buchhalter buchhaltung buchhalterin
    steuerfachangestellter sachbearbeiter sachbearbeiterin sekretar sekretarin sekretariat empfang
    assistenz assistentin auszubildender auszubildende auszubildenden azubi ausbildung lehrling praktikum
    praktikant praktikantin werkstudent werkstudentin aushilfe
    geschaftsfuhrer geschaftsfuhrung bereich abteilung kundenservice kundenberater kundendienst kunden
    aussendienst innendienst werk schicht fertigung produktion montage instandhaltung wartung qualitat
    sicherheit entwicklung forschung wissenschaftlicher wissenschaftliche referent referentin personal
    personalreferent softwareentwickler systemadministrator fachinformatiker informatiker anwendungsentwickler
    maschinenbau elektrotechnik bauleiter polier bauzeichner architekten planer kellner kellnerin hotelfachmann
    rezeption zimmermadchen kuche betriebswirt industriekaufmann bankkaufmann versicherungskaufmann jurist
    rechtsanwalt notarfachangestellte volljurist kraftfahrer berufskraftfahrer lkw staplerfahrer kommissionierer
    zusteller helfer produktionshelfer lagerhelfer maschinenfuhrer anlagenfuhrer zerspanungsmechaniker medizinische
    medizinischer fachangestellte fachangestellter zahnarzt apotheker pta mta mfa therapeut physiotherapeut
    sozialarbeiter sozialpadagoge heilerziehungspfleger leitende leitender stellvertretende stellvertretender
    fuhrungskraft projektleiter projektleitung filialleiter filialleitung teamleiter teamleitung marktleiter
    schichtleiter schichtleitung gesundheit rechnungswesen finanzen finanzbuchhalter wirtschaftsprufer recht
    steuern unternehmensentwicklung offentlichkeitsarbeit datenanalyst datenanalyse netzwerk netzwerktechniker
    """,
    "fr": """
    et de des du le la les au aux en pour chez ingenieur ingenieure developpeur developpeuse responsable charge
    chargee chef cheffe directeur directrice assistant assistante conseiller conseillere vendeur vendeuse commercial
    commerciale infirmier infirmiere medecin aide soignant soignante conducteur conductrice chauffeur technicien
    technicienne comptable gestionnaire employe employee agent operateur operatrice ouvrier cuisinier cuisiniere
    serveur serveuse boulanger boucher patissier magasinier preparateur cariste stagiaire alternance alternant
    alternante apprenti apprentie apprentissage vente ventes achats acheteur acheteuse ressources humaines
    informatique logiciel donnees reseau reseaux securite qualite maintenance production usine magasin equipe
    clientele client clients logistique entrepot juriste avocat avocate enseignant enseignante professeur
    educateur educatrice puericultrice kinesitherapeute pharmacien pharmacienne secretaire accueil
    electricien mecanicien plombier soudeur menuisier macon peintre adjoint adjointe cadre consultant consultante
    developpement affaires projet projets recherche fiabilite planification nuit jour
    """,
    "es": """
    de del la las el los en para con ingeniero ingeniera desarrollador desarrolladora programador programadora
    gerente jefe jefa director directora responsable encargado encargada asistente auxiliar administrativo
    administrativa vendedor vendedora dependiente dependienta comercial enfermero enfermera medico medica
    conductor conductora tecnico tecnica contable contador analista especialista operario operaria operador
    mozo almacen cocinero cocinera camarero camarera limpieza limpiador limpiadora recepcionista practicas becario
    becaria aprendiz ventas compras comprador recursos humanos calidad seguridad mantenimiento produccion tienda
    equipo cliente clientes atencion proyecto proyectos datos investigacion desarrollo logistica abogado
    abogada profesor profesora maestro maestra educador educadora electricista mecanico fontanero soldador
    carpintero albanil pintor repartidor peon asesor asesora consultor consultora coordinador coordinadora
    supervisor cajero cajera reponedor carretillero farmaceutico fisioterapeuta gestor gestora ayudante
    """,
    "it": """
    di del della dei delle per con il lo gli ingegnere sviluppatore sviluppatrice responsabile direttore
    direttrice addetto addetta impiegato impiegata commesso commessa venditore venditrice infermiere infermiera
    medico autista tecnico contabile analista specialista operaio operaia operatore operatrice magazziniere cuoco
    cuoca cameriere cameriera pulizie receptionist tirocinio tirocinante stagista apprendista apprendistato
    vendite acquisti risorse umane qualita sicurezza manutenzione produzione negozio cliente clienti progetto
    progetti dati ricerca sviluppo logistica avvocato insegnante educatore educatrice elettricista meccanico
    idraulico saldatore falegname muratore verniciatore corriere consulente coordinatore coordinatrice segretaria
    segretario capo vice amministrativo amministrativa farmacista fisioterapista banconista macellaio panettiere
    """,
    "nl": """
    en de het voor van bij met een als medewerker medewerkster ontwikkelaar ingenieur manager leidinggevende
    teamleider hoofd directeur assistent verkoper verkoopster verkoopmedewerker verkoop verpleegkundige
    verzorgende arts chauffeur vrachtwagenchauffeur technicus monteur boekhouder administratief administratie
    adviseur analist specialist operator kok ober schoonmaker schoonmaak receptionist stage stagiair stagiaire
    leerling bijbaan klantenservice klant inkoop inkoper personeelszaken kwaliteit veiligheid onderhoud productie
    winkel magazijn magazijnmedewerker logistiek jurist advocaat leraar docent pedagogisch onderwijs elektricien
    loodgieter lasser timmerman metselaar schilder bezorger koerier vakkenvuller heftruckchauffeur uitvoerder
    projectleider werkvoorbereider calculator planner zorg begeleider huishoudelijke hulp apotheker
    fysiotherapeut secretaresse filiaalmanager bedrijfsleider orderpicker softwareontwikkelaar gegevens
    """,
    "pl": """
    na do dla ds specjalista specjalistka kierownik kierowniczka inzynier programista pracownik doradca
    sprzedawca kasjer magazynier kierowca operator technik ksiegowy ksiegowa asystent asystentka dyrektor
    mlodszy starszy pielegniarka lekarz nauczyciel kucharz kelner elektryk mechanik spawacz praktykant stazysta
    sprzedazy obslugi klienta produkcji jakosci zakupow logistyki analityk menedzer
    """,
    "pt": """
    de do da dos das em para com engenheiro engenheira desenvolvedor desenvolvedora gerente coordenador
    coordenadora analista assistente auxiliar tecnico tecnica vendedor vendedora enfermeiro enfermeira medico
    motorista operador operadora estagio estagiario estagiaria aprendiz vendas compras qualidade seguranca
    manutencao producao loja atendimento cliente projetos dados pesquisa desenvolvimento advogado professor
    consultor consultora pleno almoxarifado recursos humanos contabil financeiro administrativo
    """,
}

_BORROWED: Final = frozenset(
    str.split("""
    manager management marketing sales controlling controller service online digital software hardware data
    it support team hr business test tester design designer trainee junior senior account key consultant
    consulting product cloud web partner store lead head performance recruiting recruiter content social
    media scrum agile frontend backend full stack devops sap crm erp seo java python javascript java react
    office project center call customer success director intern analyst engineer developer operations
    operator assistant specialist administrator supply chain security
    """)
)
"""English words that titles in other languages use."""

_LANGUAGES_OF: Final[dict[str, tuple[str, ...]]] = {}
for _language, _text in _WORDS.items():
    for _word in dict.fromkeys(word for word in _text.split() if len(word) > 1 and word not in _BORROWED):
        _LANGUAGES_OF[_word] = (*_LANGUAGES_OF.get(_word, ()), _language)

_ENDINGS: Final = {
    "de": tuple(
        str.split("""
        ung ungen keit heit kraft krafte fachkraft leiter leiterin leitung mitarbeiter berater beraterin
        entwickler techniker pfleger fahrer fahrerin verkaufer arbeiter macher bearbeiter helfer helferin
        mechaniker meister schaft wesen kaufmann kauffrau assistenz ingenieur arzt bauer lehrer fuhrer
        dienst betrieb stelle mann frau innen student praktikum ausbildung planer wart prufer
        """)
    ),
    "fr": ("euse", "ienne", "iere", "trice", "istes"),
    "es": ("cion", "ciones", "dor", "dora", "ero", "era", "ario", "aria", "idad"),
    "it": ("zione", "zioni", "tore", "trice", "iere", "iera", "aio", "ista", "essa"),
    "nl": ("medewerker", "kundige", "monteur", "leider", "heid", "aar", "begeleider", "chauffeur", "ontwikkelaar"),
    "pl": ("owy", "owca", "arz", "yczny", "nik", "acz", "owych", "ego"),
    "pt": ("cao", "coes", "dor", "dora", "eiro", "eira", "agem"),
    "en": ("ing", "ment", "tion", "ness", "keeper", "ship"),
}
"""Word endings that show the language of a word that is in no list."""
