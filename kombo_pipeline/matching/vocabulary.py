"""Words of job advertisements in English and German, some in French, Italian, Polish, Spanish: what they stand for."""

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
"""Abbreviations and words of one meaning -> the word used for it. No meaning is itself a spelling of another."""

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
"""Words that stand for one thing together -> one word for it."""

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
"""Word of a core -> its seniority."""

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
"""Words that join others and say nothing of the job."""

EMPLOYMENT_PHRASES: Final = _table("""
full_time fulltime vollzeit temps_plein tempo_pieno ft = full
part_time parttime teilzeit temps_partiel tempo_parziale pt geringfugig minijob mini_job = part
vollzeit_teilzeit teilzeit_vollzeit voll_und_teilzeit voll_oder_teilzeit vollzeit_oder_teilzeit = full part
contract contractor freelance freelancer temporary befristet seasonal temp interim cdd = temporary
permanent unbefristet festanstellung cdi = permanent
intern internship praktikum intern_full_time = intern
""")
"""Phrase -> forms of employment. All but intern leave the core: they say how, not what."""

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
"""What an advertisement says to be noticed, and the German "as" that follows it."""
