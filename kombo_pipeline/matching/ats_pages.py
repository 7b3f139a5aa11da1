"""The pages of known applicant tracking systems, as templates of addresses: where the id of the job stands in them.

Add a row to SHAPES for a page that is not recognised yet, with an example in `matching/test_addresses.py`, and change
`version.IDENTIFIERS`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """The template of one kind of page.

    host: "*" matches any characters of one label, {tenant} a label that becomes part of the key; "any" is any host.
    path: "*" matches one segment, "..." any number of them, a word itself in any case.
    query: parameters that the page must have; all others are ignored.
    {tenant} and {folder} become part of the key, because the ATS counts its ids for each of them. Any other name in
    braces is the id, in the form that IDS gives. Parts without braces (site, language, title, form) are not in the key.
    """

    ats: str
    host: str
    path: str
    query: str = ""


IDS: Final[Mapping[str, str]] = {
    "number": r"(?P<id>[0-9]{1,20})",
    "number-title": r"(?P<id>[0-9]{1,20})(?:-.*)?",
    "long-title": r"(?P<id>[0-9]{9,20})(?:-.*)?",
    "long": r"(?P<id>[0-9]{9,20})",
    "uuid": r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    "hex-title": r"(?P<id>[0-9a-f]{8,24})(?:-.*)?",
    "shortcode": r"(?P<id>[0-9a-f]{10})",
    "title_requisition": r"[^_]*_(?P<id>(?=.*[0-9])[\w-]+)",
    "requisition": r"(?P<id>(?=.*[0-9])[\w.-]+)",
    "phenom": r"(?P<id>(?=.*[0-9]{4})[\w-]+)",
    "token": r"(?P<id>(?=.*[0-9])[\w-]{6,64})",
    "jazz": r"(?P<id>[0-9A-Za-z]{8,12})",
    "jobvite": r"(?P<id>\w{6,12})",
    "jobvite,page": r"(?P<id>\w{6,12})(?:,\w*)?",
    "slug": r"(?P<id>.+)",
    "title-jnumber.html": r"(?:.*-)?j(?P<id>[0-9]+)\.html?",
}
"""Name in a template -> pattern of the id. Ids are compared without case, except those of CASE_SENSITIVE systems."""

CASE_SENSITIVE: Final = frozenset({"jobvite", "jazzhr", "onlyfy", "recruitee", "taleo", "workable-view"})
"""Systems whose ids differ in upper and lower case, or for which this is not known."""

_SAP: Final = "*.successfactors.com *.successfactors.eu *.sapsf.com *.sapsf.eu *.sapsf.cn"

# fmt: off
SHAPES: Final = (
    Shape("greenhouse", "any", "...", "gh_jid={number}"),  # the customer's own page
    Shape("greenhouse", "boards.greenhouse.io boards.*.greenhouse.io", "*/jobs/{number}/..."),
    Shape("greenhouse", "job-boards.greenhouse.io job-boards.*.greenhouse.io", "*/jobs/{number}/..."),
    Shape("greenhouse", "boards.greenhouse.io boards.*.greenhouse.io", "embed/job_app", "token={number}"),
    Shape("greenhouse", "job-boards.greenhouse.io job-boards.*.greenhouse.io", "embed/job_app", "token={number}"),
    Shape("greenhouse", "boards-api.greenhouse.io api.greenhouse.io", "v1/boards/*/jobs/{number}/..."),
    Shape("lever", "jobs.lever.co jobs.*.lever.co", "*/{uuid}/..."),
    Shape("lever", "api.lever.co api.*.lever.co", "v0/postings/*/{uuid}/..."),
    Shape("ashby", "any", "...", "ashby_jid={uuid}"),  # the customer's own page
    Shape("ashby", "jobs.ashbyhq.com", "*/{uuid}/..."),
    Shape("ashby", "jobs.ashbyhq.com", "*/...", "jobid={uuid}"),
    # The number of a requisition is unique within the tenant; the site, the language and the place are not part of it.
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../job/.../{title_requisition}"),
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../job/.../{title_requisition}/apply/..."),
    Shape("workday", "{tenant}.wd*.myworkdayjobs.com", ".../details/{title_requisition}"),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/job/.../{title_requisition}"),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/job/.../{title_requisition}/apply/..."),
    Shape("workday", "wd*.myworkdaysite.com", ".../recruiting/{tenant}/*/details/{title_requisition}"),
    Shape("smartrecruiters", "jobs.smartrecruiters.com careers.smartrecruiters.com", "*/{long-title}/..."),
    Shape("smartrecruiters", "smartrecruiters.com", "*/{long-title}/..."),
    Shape("smartrecruiters", "jobs.smartrecruiters.com", "oneclick-ui/company/*/posting/{long}"),
    Shape("smartrecruiters", "api.smartrecruiters.com", "v1/companies/*/postings/{long}"),
    # The form for applications names the job by another id than its page does.
    Shape("smartrecruiters-publication", "jobs.smartrecruiters.com", "oneclick-ui/company/*/publication/{uuid}"),
    Shape("personio", "*.jobs.personio.de *.jobs.personio.com *-jobs.personio.de", "job/{number}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "o/{slug}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "*/o/{slug}/..."),
    Shape("recruitee", "{tenant}.recruitee.com", "l/*/o/{slug}/..."),
    Shape("join", "join.com", "companies/*/{number-title}/..."),
    Shape("teamtailor", "*.teamtailor.com *.*.teamtailor.com", "jobs/{number-title}/..."),
    Shape("teamtailor", "*.teamtailor.com *.*.teamtailor.com", "*/jobs/{number-title}/..."),
    Shape("softgarden", "*.softgarden.io", "job/{number}/..."),
    Shape("softgarden", "*.softgarden.io", "*/job/{number}/..."),
    Shape("softgarden", "*.career.softgarden.de career.softgarden.de", "jobs/{number}/..."),
    Shape("softgarden", "*.career.softgarden.de career.softgarden.de", "*/jobs/{number}/..."),
    # The id of a posting; postings and jobs have separate ids.
    Shape("softgarden-posting", "any", "...", "jobdbpvid={number}"),
    Shape("dvinci", "{tenant}.dvinci-hr.com {tenant}.dvinci-easy.com {tenant}.dvinci.de", ".../jobs/{number}/..."),
    Shape("rexx", "{tenant}.rexx-systems.com {tenant}.rexx-recruitment.com", ".../{title-jnumber.html}"),
    Shape("successfactors", _SAP, "...", "company={tenant} career_job_req_id={number}"),
    Shape("successfactors", _SAP, "...", "company={tenant} jobid={number}"),
    # Recruiting Marketing of SuccessFactors runs on the customer's host: /job/Berlin-Engineer-BE-10115/1031544101/
    Shape("successfactors-site", "{host}", "job/*/{long}"),
    Shape("successfactors-site", "{host}", "*/job/*/{long}"),
    Shape("successfactors-site", "{host}", "talentcommunity/apply/{long}"),
    Shape("icims", "{tenant}.icims.com", "jobs/{number}/..."),
    Shape("bamboohr", "{tenant}.bamboohr.com", "careers/{number}/..."),
    Shape("bamboohr", "{tenant}.bamboohr.com", "jobs/...", "id={number}"),
    Shape("workable", "apply.workable.com", "*/j/{shortcode}/..."),
    Shape("workable", "*.workable.com workable.com", "j/{shortcode}/..."),
    Shape("workable-number", "{tenant}.workable.com", "jobs/{number}/..."),
    Shape("workable-number", "{tenant}.workable.com", "backend/jobs/{number}/..."),
    Shape("workable-view", "jobs.workable.com", "view/{token}/..."),
    Shape("jobvite", "jobs.jobvite.com", "*/job/{jobvite}/..."),
    Shape("jobvite", "jobs.jobvite.com", "careers/*/job/{jobvite}/..."),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "*/*", "j={jobvite}"),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "j", "cj={jobvite}"),
    Shape("jobvite", "hire.jobvite.com app.jobvite.com jobvite.com", "j", "aj={jobvite}"),
    Shape("jobvite", "any", "...", "jvi={jobvite,page}"),  # the customer's own page
    Shape("jazzhr", "*.applytojob.com", "apply/{jazz}/..."),
    Shape("jazzhr", "*.applytojob.com", "apply/jobs/details/{jazz}/..."),
    Shape("breezy", "*.breezy.hr", "p/{hex-title}/..."),
    Shape("oracle", "{tenant}.fa.{tenant}.oraclecloud.com", "hcmui/candidateexperience/.../job/{requisition}/..."),
    Shape("oracle", "{tenant}.fa.{tenant}.oraclecloud.com", "hcmui/candidateexperience/.../preview/{requisition}/..."),
    Shape("taleo", "{tenant}.taleo.net", "careersection/...", "job={requisition}"),
    Shape("taleo-business", "*.tbe.taleo.net", ".../careers/...", "org={tenant} rid={number}"),
    # The number behind Description/ is the language.
    Shape("umantis", "{tenant}.umantis.com", "vacancies/{number}/..."),
    Shape("umantis-de", "{tenant}.de.umantis.com", "vacancies/{number}/..."),
    Shape("concludis", "{tenant}.concludis.de", "prj/shw/*/{number}/..."),  # "b" is the job board
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "job/{token}/..."),
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "*/job/{token}/..."),
    Shape("onlyfy", "{tenant}.onlyfy.jobs {tenant}.prescreen.io", "candidate/job/print/{token}/..."),
    Shape("eightfold", "{tenant}.eightfold.ai", "careers/job/{number-title}/..."),
    Shape("eightfold", "{tenant}.eightfold.ai", "careers/...", "pid={number}"),
    # Phenom runs on the customer's host: /us/en/job/R-12345/Title. In the next country the number may be another job.
    Shape("phenom", "{host}", "{folder}/*/job/{phenom}/*"),
    Shape("phenom", "{host}", "{folder}/*/apply", "jobseqno={phenom}"),
    Shape("rippling", "ats.rippling.com ats.*.rippling.com", ".../jobs/{uuid}/..."),
    Shape("avature", "{tenant}.avature.net", ".../jobdetail/{number}"),
    Shape("avature", "{tenant}.avature.net", ".../jobdetail/*/{number}"),
    Shape("avature", "{tenant}.avature.net", "...", "jobid={number}"),
)

GUESSES: Final = (
    # What a page on the customer's own site probably is. A guess matches pages of the ATS itself, never another guess.
    Shape("teamtailor", "any", "jobs/{number-title}"),
    Shape("teamtailor", "any", "*/jobs/{number-title}"),
    Shape("recruitee", "*.{tenant}.*", "o/{slug}"),
    Shape("recruitee", "*.{tenant}.*", "*/o/{slug}"),
    Shape("recruitee", "{tenant}.*", "o/{slug}"),
    Shape("ashby", "any", "...", "jobid={uuid}"),
    Shape("smartrecruiters", "any", ".../{long-title}"),
    Shape("eightfold", "*.{tenant}.*", "careers/...", "pid={number}"),
    Shape("eightfold", "*.{tenant}.*", "careers/job/{number-title}"),
)
# fmt: on
