"""Word lists for job titles: spellings in English and German, some in French, Italian, Polish and Spanish.

`scoring.version_of` covers the lists that titles are read with. After a change train the weights again:
`python -m benchmarks.train_matcher --write`. The lists of `objections` belong to `version.IDENTIFIERS`.
"""

from typing import Final


def _table(text: str) -> dict[str, str]:
    """Read lines of `spelling spelling ... = meaning`; a spelling of several words is written with underscores."""
    table = {}
    for line in text.strip().splitlines():
        spellings, meaning = line.split("=")
        for spelling in spellings.split():
            table[spelling.replace("_", " ")] = meaning.strip()
    return table


WORDS: Final = _table("""
sr snr = senior
jr jnr jun = junior
mgr mngr mngmt = manager
mgmt = management
eng engr engg ingenieur ingenieurin = engineer
dev entwickler entwicklerin = developer
asst = assistant
assoc = associate
dir = director
exec = executive
rep reps = representative
acct = account
coord = coordinator
admin = administrator
spec = specialist
tech = technician
sw = software
hw = hardware
mktg mkt = marketing
ops = operations
prod = product
svc svcs = services
cust = customer
dept = department
mfg = manufacturing
maint = maintenance
supv supvr = supervisor
ml = machine learning
ai ki = artificial intelligence
hr = human resources
qa = quality assurance
ux = user experience
ui = user interface
vp = vice president
bizdev = business development
internship internships interns praktikum praktikant praktikantin stage stagiaire tirocinio becario = intern
werkstudent werkstudentin werkstudenten = workingstudent
swe = software engineer
sde = software development engineer
fe = frontend
be = backend
mitarbeiterin ma = mitarbeiter
leiterin = leiter
berater beraterin = consultant
vertrieb = sales
buchhalter buchhalterin = accountant
verkaufer verkauferin = salesperson
wiss = wissenschaftlicher
ii = 2
iii = 3
iv = 4
vi = 6
stv stellv stellvertretende = stellvertretender
gf = geschaftsfuhrer
azubi ausbildung auszubildende = auszubildender
referentin = referent
sachbearbeiterin = sachbearbeiter
techniker technikerin = technician
architekt architektin = architect
analystin = analyst
projektmanager projektleiter = projectmanager
lagerist = lagermitarbeiter
""")
"""Abbreviation or synonym -> canonical word. No canonical word is itself a key for another."""

PHRASES: Final = _table("""
new_grad new_grads new_graduate new_graduates university_grad university_graduate university_graduates \
recent_graduate recent_graduates recent_grad early_career entry_level early_careers college_grad \
college_graduate berufseinsteiger university_grads new_college_grad = newgrad
co_op co_ops = coop
front_end = frontend
back_end = backend
full_stack = fullstack
dev_ops = devops
project_manager projekt_manager projekt_leiter = projectmanager
working_student = workingstudent
start_up = startup
e_commerce = ecommerce
""")
"""Phrase -> canonical word."""

LEVELS: Final = _table("""
intern workingstudent coop = intern
auszubildender apprentice apprenti trainee volontar = trainee
junior newgrad graduate grad entry absolvent = junior
associate = associate
mid intermediate = mid
senior experienced erfahrener = senior
staff = staff
principal = principal
lead leader leiter leitung teamleiter teamleitung = lead
manager = manager
supervisor = supervisor
head director direktor = director
vice chief president cto cfo ceo coo = chief
assistant assistent assistenz = assistant
stellvertretender deputy = deputy
""")
"""Word of a title's core -> seniority."""

SEASONS: Final = _table("""
summer sommer = summer
fall autumn herbst = fall
winter = winter
spring fruhling fruhjahr = spring
""")

FUNCTION_WORDS: Final = frozenset(
    _table("""
a an and as at by for from in of on or the to with \
und oder der die das des dem den fur im am an auf bei mit von vom zu zum zur \
et ou de du des le la les en au aux pour = function
""")
)
"""Function words: articles, prepositions and conjunctions, which say nothing about the job."""

EMPLOYMENT_PHRASES: Final = _table("""
full_time fulltime vollzeit temps_plein tempo_pieno ft = full
part_time parttime teilzeit temps_partiel tempo_parziale pt geringfugig minijob mini_job = part
vollzeit_teilzeit teilzeit_vollzeit voll_und_teilzeit voll_oder_teilzeit vollzeit_oder_teilzeit = full part
contract contractor freelance freelancer temporary befristet seasonal temp interim cdd = temporary
permanent unbefristet festanstellung cdi = permanent
intern internship praktikum intern_full_time = intern
""")
"""Phrase -> forms of employment. All phrases except those for interns are removed from the core of a title."""

NOISE_PHRASES: Final = frozenset(
    _table("""
we_are_hiring were_hiring we_re_hiring now_hiring hiring_now hiring urgent urgently apply_now apply_today \
join_us_as join_us join_our_team join_the_team jetzt_bewerben bewirb_dich_jetzt gesucht wir_suchen wir_suchen_dich \
ab_sofort zum_nachstmoglichen_zeitpunkt immediate_start start_immediately sofort jetzt dringend dringend_gesucht \
nous_recrutons on_recrute recrute recherche nous_recherchons cerchiamo cercasi selezioniamo zatrudnimy \
poszukujemy poszukiwany praca wanted looking_for we_are_looking_for top_job stellenangebot verstarkung_gesucht \
great_opportunity amazing_opportunity new_opportunity als quereinsteiger_willkommen homeoffice_moglich = noise
""")
)
"""Advertising phrases, which are removed from titles, and the German "als" (as) that follows them."""

GRADES: Final = _table("""
junior jr new_grad newgrad graduate absolvent absolventin berufseinsteiger berufseinsteigerin entry_level debutant \
assistenzarzt assistenzarztin = junior
mid midlevel mid_level intermediate medior pleno = mid
senior sr experienced erfahrener erfahrene confirme oberarzt oberarztin = senior
staff = staff
principal = principal
deputy stellvertretender stellvertretende stellvertretend stv adjoint adjointe vicedirettore vice_direttore \
adjunct_directeur subdirector = deputy
assistant assistent assistentin assistenz assistente assistante asistente = assistant
""")
"""Words of a title -> the grade within an occupation."""

ROLES: Final = _table("""
leiter leiterin leitung teamleiter teamleiterin teamleitung filialleiter filialleitung filialleiterin abteilungsleiter \
bereichsleiter schichtleiter marktleiter responsable responsabile jefe jefa chef chefe encargado encargada capo \
kierownik leidinggevende teamleider bedrijfsleider gerente projectmanager = leading
lead leader = lead
manager = manager
supervisor = supervisor
head = head
director direktor direktorin directeur directrice directora direttore direttrice = director
vice_president = vice president
chief president cto cfo ceo coo cio = chief
""")
"""Words of a title -> role in leading people. "leading" is compatible with all other roles."""

BEGINNERS: Final = _table("""
intern internship coop praktikum praktikant praktikantin pflichtpraktikum stage stagiaire stagiair tirocinio \
tirocinante stagista becario becaria practicas estagio estagiario estagiaria praktykant = intern
workingstudent working_student werkstudent werkstudentin studentische_hilfskraft hiwi student_job student_assistant \
studentenjob bijbaan job_etudiant = working student
auszubildender auszubildende azubi ausbildung lehrling lehrstelle apprentice apprenticeship apprenti apprentie \
apprentissage alternance alternant alternante aprendiz apprendista apprendistato leerling = apprentice
duales_studium dualer_student duale_studentin dual_study dh_studium = dual student
trainee traineeprogramm volontar volontarin volontariat = trainee
abschlussarbeit masterarbeit bachelorarbeit master_thesis bachelor_thesis thesis diplomarbeit = thesis
""")
"""Words of a title or an employment type -> kind of job for beginners."""

TERMS: Final = _table("""
full_time fulltime vollzeit temps_plein tempo_pieno tiempo_completo jornada_completa voltijd \
fulltime_permanent = full time
part_time parttime teilzeit temps_partiel tempo_parziale tiempo_parcial media_jornada deeltijd minijob mini_job \
geringfugig aushilfe 450_euro 520_euro = part time
temporary befristet temp cdd tijdelijk temporal tempo_determinato fixed_term = temporary
permanent unbefristet festanstellung cdi vast indefinido tempo_indeterminato = permanent
""")
"""Words of a title or an employment type -> hours or term of the contract."""

OCCUPATIONS: Final = {
    "software": """
        software developer programmer devops backend frontend fullstack swe android ios entwickler
        softwareentwickler programmierer fachinformatiker informatiker anwendungsentwickler developpeur logiciel
        informatique desarrollador programador informatico sviluppatore programmatore ontwikkelaar programmeur
        programista data datenanalyst datenanalyse donnees datos dati analytics cloud reliability administrator
        systemadministrator it netzwerk network reseau redes helpdesk embedded quality qualitat tester testing
        system systems web security architect
    """,
    "engineering": """
        engineer engineering ingenieur ingenieurin ingenieure ingeniero ingeniera ingegnere inzynier engenheiro
        konstrukteur maschinenbau mechanical elektrotechnik electrical mechatroniker mechatronics architect
        architekt reliability fiabilite planer planner bauleiter construction hardware embedded process prozess
        entwicklung design quality qualitat
    """,
    "nursing": """
        nurse nursing caregiver care healthcare health rn lpn pflegefachkraft pflegekraft pfleger pflegerin
        pflege krankenpfleger krankenschwester altenpfleger pflegefachmann pflegefachfrau pflegehelfer infirmier
        infirmiere soignant soignante enfermero enfermera infermiere infermiera verpleegkundige verzorgende
        pielegniarka enfermeiro hebamme midwife pflegedienstleitung pdl medical medizinische clinical klinik
        zorg operationstechnischer ota
    """,
    "medicine": """
        physician doctor surgeon medical cardiologist anesthetist arzt arztin oberarzt facharzt assistenzarzt
        medecin medico arts lekarz medizinische zahnarzt dentist dental zahnmedizinische mfa zfa clinical klinik
        health therapist therapeut physiotherapeut physiotherapist ergotherapeut kinesitherapeute fisioterapeuta
        fysiotherapeut psychologist psychologe
    """,
    "veterinary": """
        veterinarian veterinary tierarzt tierarztin tierpfleger veterinaire veterinario dierenarts
    """,
    "pharmacy": """
        pharmacist pharmacy apotheker apothekerin pta pka pharmacien farmaceutico farmacista apotheek
    """,
    "laboratory": """
        laboratory lab chemist biologist laborant laborantin chemielaborant mta scientist research researcher
        forschung wissenschaftler chercheur recherche investigador ricercatore onderzoeker chemiker biologe
    """,
    "teaching": """
        teacher educator tutor lecturer professor kindergarten school teaching instructor trainer lehrer
        lehrerin erzieher erzieherin padagoge dozent ausbilder enseignant enseignante professeur educateur
        educatrice profesor profesora maestro maestra insegnante educatore leraar docent onderwijs nauczyciel
        learning childcare preschool
    """,
    "social work": """
        social sozialarbeiter sozialpadagoge padagoge heilerziehungspfleger betreuer betreuung begeleider
        trabajador assistente travailleur counselor care pflege youth jugend
    """,
    "driving": """
        driver chauffeur truck courier delivery fahrer fahrerin kraftfahrer berufskraftfahrer lkw zusteller
        kurier conducteur conductrice conductor conductora autista corriere bezorger koerier kierowca motorista
        repartidor tram busfahrer train lokfuhrer bus transport
    """,
    "logistics": """
        warehouse logistics supply chain picker packer forklift dispatcher inventory lager lagerist logistik
        kommissionierer staplerfahrer versand disponent disposition magasinier cariste entrepot logistique
        preparateur mozo almacen carretillero logistica magazziniere magazijn magazijnmedewerker
        heftruckchauffeur logistiek magazynier material einkauf fachlagerist lagermitarbeiter shipping
        almoxarifado
    """,
    "purchasing": """
        buyer purchasing procurement sourcing supply einkauf einkaufer acheteur achats comprador compras
        acquisti inkoper inkoop zakupow category
    """,
    "sales": """
        sales account salesperson seller business partner partnerships commercial vertrieb verkauf verkaufer
        verkauferin verkaufs vertriebsmitarbeiter aussendienst innendienst kundenberater gebietsleiter
        commerciale vendeur vendeuse vente ventes vendedor vendedora ventas comercial venditore vendite commesso
        verkoper verkoopster verkoop verkoopmedewerker sprzedawca sprzedazy dependiente store shop retail
        cashier filiale filialleiter kasse kassierer markt einzelhandel magasin tienda negozio winkel caissier
        cajero kundenbetreuer client customer kunden clientele associate presales solution solutions
    """,
    "service": """
        customer support service success helpdesk call kundenservice kundenberater kundendienst kundenbetreuer
        kunden clientele client cliente atencion klantenservice klant assistenza obslugi receptionist reception
        empfang rezeption accueil recepcionista technician techniker servicetechniker account
    """,
    "marketing": """
        marketing communications communication content brand media seo sem editor writer copywriter journalist
        redakteur redaktion kommunikation unternehmenskommunikation offentlichkeitsarbeit presse social texter
        mediengestalter redacteur comunicacion comunicazione communicatie growth campaign online public product
    """,
    "design": """
        designer design graphic ux ui grafik grafiker gestalter mediengestalter graphiste disenador grafico
        vormgever product user creative
    """,
    "product": """
        product produkt produit producto prodotto owner project projekt projektmanager projectmanager projet
        proyecto progetto program programm scrum projektleiter projectleider manager
    """,
    "finance": """
        accountant accounting finance financial controller controlling tax audit auditor treasury bookkeeper
        payroll billing buchhalter buchhaltung buchhalterin finanzbuchhalter finanzbuchhaltung finanzen
        rechnungswesen steuer steuern steuerfachangestellte steuerberater wirtschaftsprufer lohn entgelt
        comptable comptabilite finances contable contador finanzas contabile contabilita finanza boekhouder
        financieel ksiegowy investment banking bank bankkaufmann risk analyst underwriter insurance versicherung
        claims kreditoren debitoren
    """,
    "people": """
        hr human recruiter recruiting talent people personal personalreferent personalsachbearbeiter ressources
        humaines recursos humanos risorse umane personeelszaken recruitment lohn payroll learning development
    """,
    "legal": """
        legal lawyer counsel attorney paralegal compliance jurist volljurist rechtsanwalt notar juriste avocat
        abogado avvocato legale advocaat recht contract contracts notarfachangestellte
        rechtsanwaltsfachangestellte
    """,
    "office": """
        office administrative administration administrator secretary clerk assistant receptionist executive
        facilities burokaufmann burokauffrau burokraft sekretar sekretarin sekretariat sachbearbeiter
        sachbearbeiterin assistenz assistentin verwaltung verwaltungsfachangestellte industriekaufmann kaufmann
        kauffrau secretaire assistante administratif administrativo impiegato segretaria administratief
        secretaresse empfang coordinator koordinator referent operations planner facility
    """,
    "cleaning": """
        cleaner cleaning housekeeping janitor housekeeper reinigung reinigungskraft raumpfleger putzkraft
        gebaudereiniger nettoyage entretien menage limpieza limpiador pulizie schoonmaak schoonmaker hausmeister
        caretaker zimmermadchen custodian
    """,
    "kitchen": """
        cook chef kitchen baker waiter waitress restaurant catering barista food koch kochin kuche kuchenhilfe
        kellner servicekraft backer konditor metzger fleischer butcher gastronomie cuisinier cuisiniere serveur
        boulanger patissier boucher cocinero camarero panadero cuoco cameriere panettiere macellaio kok ober
        bakker kucharz hotel hotelfachmann restaurantfachmann bar bartender dishwasher gastgewerbe
    """,
    "building": """
        carpenter roofer plumber painter welder mason bricklayer construction electrician hvac site foreman
        dachdecker tischler schreiner maler maurer klempner installateur anlagenmechaniker schweisser schlosser
        elektriker elektroniker bauleiter polier zimmerer bau couvreur menuisier plombier peintre macon soudeur
        electricien carpintero albanil fontanero soldador electricista falegname muratore idraulico saldatore
        elettricista timmerman metselaar loodgieter lasser elektricien schilder monteur shk heizung
    """,
    "production": """
        production manufacturing machine operator assembly mechanic technician maintenance fitter produktion
        fertigung maschinenfuhrer anlagenfuhrer produktionshelfer produktionsmitarbeiter montage instandhaltung
        mechaniker industriemechaniker zerspanungsmechaniker mechatroniker elektroniker techniker schlosser
        operateur usine ouvrier technicien mecanicien operario produccion mantenimiento mecanico tecnico operaio
        produzione manutenzione meccanico monteur technicus productie onderhoud werktuigkundige cnc plant werk
        servicetechniker
    """,
    "security": """
        security guard sicherheit sicherheitsmitarbeiter wachmann agent seguridad vigilante sicurezza beveiliger
        beveiliging objektschutz safety arbeitssicherheit
    """,
    "hair and beauty": """
        hairdresser beautician barber stylist friseur friseurin kosmetikerin coiffeur coiffeuse peluquero
        parrucchiere kapper beauty
    """,
    "gardening": """
        gardener landscaper landscape gartner garten landschaftsbau jardinier jardinero giardiniere hovenier
        farm agriculture landwirt florist
    """,
}
"""Occupation -> its words in several languages; a word may belong to several occupations.

Titles in two languages are compared by occupation."""
