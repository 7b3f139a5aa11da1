"""Which addresses name the same job and which do not: tables by ATS, with cases that are made to deceive."""

import time
from itertools import pairwise

import pytest

from kombo_pipeline.matching import addresses
from kombo_pipeline.matching.addresses import canonical_url, read
from kombo_pipeline.matching.ats_pages import SHAPES
from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, decide

UUID, OTHER = "5ac21346-8e0c-4494-8e7a-3eb92ff77902", "6bd32457-9f1d-45a5-9f8b-4fca3aa88013"


def meet(own: str, ats: str) -> bool:
    """Whether an own job with the one address is linked with an ATS job that has the other."""
    return bool(decide([OwnIdentity("1", post_url=own)], [AtsIdentity("A", urls=(ats,))]).links)


# Every address of a group must meet the first one.
SAME = {
    "greenhouse": [
        "https://boards.greenhouse.io/acme/jobs/4012873008",
        "https://job-boards.greenhouse.io/acme/jobs/4012873008?gh_src=abc",
        "https://job-boards.eu.greenhouse.io/acme/jobs/4012873008",
        "https://boards.greenhouse.io/embed/job_app?for=acme&token=4012873008",
        "https://job-boards.greenhouse.io/embed/job_app?token=4012873008&for=acme",
        "https://boards-api.greenhouse.io/v1/boards/acme/jobs/4012873008",
        "https://www.acme.com/en/careers/engineer?utm_source=x&gh_jid=4012873008",
        "https://acme.de/karriere?GH_JID=4012873008#app",
    ],
    "lever": [
        f"https://jobs.lever.co/acme/{UUID}",
        f"https://jobs.eu.lever.co/acme/{UUID}/apply",
        f"https://jobs.lever.co/acme/{UUID.upper()}?lever-source=LinkedIn",
        f"https://api.lever.co/v0/postings/acme/{UUID}?mode=json",
        f"jobs.lever.co/acme/{UUID}/thanks",
    ],
    "ashby": [
        f"https://jobs.ashbyhq.com/Acme/{UUID}",
        f"https://jobs.ashbyhq.com/acme/{UUID}/application?utm_source=x",
        f"https://jobs.ashbyhq.com/acme?jobId={UUID}",
        f"https://acme.com/jobs?ashby_jid={UUID}",
        f"https://acme.com/careers?jobId={UUID}",
    ],
    "workday": [
        "https://acme.wd3.myworkdayjobs.com/en-US/External/job/Berlin/Senior-Engineer_R-12345",
        "https://acme.wd3.myworkdayjobs.com/External/job/Berlin/Senior-Engineer_r-12345",
        "https://acme.wd3.myworkdayjobs.com/de-DE/Intern/job/Ingenieur_R-12345/apply/autofillWithResume",
        "https://acme.wd3.myworkdayjobs.com/Intern/job/Engineer_R-12345-1?source=LinkedIn",
        "https://acme.wd3.myworkdayjobs.com/External/details/Engineer_R-12345",
        "https://acme.wd3.myworkdayjobs.com/wday/cxs/acme/External/job/Berlin/Engineer_R-12345",
        "https://acme.wd103.myworkdayjobs.com/External/job/Engineer_R-12345",
        "https://wd3.myworkdaysite.com/de-DE/recruiting/acme/External/job/Berlin/Engineer_R-12345",
        "https://wd3.myworkdaysite.com/recruiting/Acme/External/details/Engineer_R-12345",
        "https://wd3.myworkdaysite.com/recruiting/acme/External/job/Berlin/Engineer_R-12345/apply",
    ],
    "workday, number with year": [
        "https://acme.wd3.myworkdayjobs.com/External/job/Store-Manager_R25_173",
        "https://acme.wd3.myworkdayjobs.com/fr-FR/External/job/Directeur_r25_173/apply",
    ],
    "smartrecruiters": [
        "https://jobs.smartrecruiters.com/Acme/743999712345678-engineer?trid=1",
        "https://careers.smartrecruiters.com/acme/743999712345678",
        "https://www.smartrecruiters.com/Acme/743999712345678-ingenieur",
        "https://jobs.smartrecruiters.com/oneclick-ui/company/Acme/posting/743999712345678",
        "https://api.smartrecruiters.com/v1/companies/acme/postings/743999712345678",
        "https://acme.com/jobs/743999712345678-engineer",
    ],
    "personio": [
        "https://acme.jobs.personio.de/job/123456",
        "https://acme.jobs.personio.com/job/123456?display=de&language=en#apply",
        "https://acme-jobs.personio.de/job/123456",
    ],
    "recruitee": [
        "https://acme.recruitee.com/o/senior-engineer",
        "https://acme.recruitee.com/l/de/o/senior-engineer/c/new",
        "https://acme.recruitee.com/en/o/senior-engineer",
        "https://careers.acme.com/o/senior-engineer",
        "https://jobs.acme.de/en/o/senior-engineer",
    ],
    "join": ["https://join.com/companies/acme/1234567-engineer", "join.com/companies/acme/1234567-ingenieur?pid=2"],
    "teamtailor": [
        "https://acme.teamtailor.com/jobs/1234567-engineer",
        "https://acme.na.teamtailor.com/de/jobs/1234567-ingenieur/applications/new",
        "https://career.acme.com/jobs/1234567-engineer",
        "https://career.acme.com/de/jobs/1234567-ingenieur",
    ],
    "softgarden": [
        "https://acme.softgarden.io/job/66872540/Engineer?jobDbPVId=98765&l=de",
        "https://acme.softgarden.io/de/job/66872540",
        "https://acme.career.softgarden.de/jobs/66872540/Engineer-m-w-d-/",
        "https://acme.career.softgarden.de/en/jobs/66872540/Engineer",
        "https://career.softgarden.de/jobs/66872540/Engineer",
    ],
    "softgarden, id of the posting": ["https://acme.de/jobs?jobDbPVId=98765", "https://acme.com/stellen?l=de&jobDbPVId=98765"],
    "dvinci": [
        "https://acme.dvinci-hr.com/de/jobs/12/engineer",
        "https://acme.dvinci.de/en/jobs/12/ingenieur/apply",
        "https://acme.dvinci-easy.com/de/p/intern/jobs/12/engineer",
    ],
    "rexx": [
        "https://acme-portal.rexx-systems.com/Engineer-Bonn-de-j123.html",
        "https://acme-portal.rexx-systems.com/stellen/Engineer-Bonn-en-j123.html?sid=9",
    ],
    "successfactors": [
        "https://career5.successfactors.eu/career?career_ns=job_listing&company=acmeUS&career_job_req_id=77",
        "https://career5.sapsf.eu/career?company=acmeUS&career_job_req_id=77&lang=de_DE",
        "https://career5.successfactors.eu/sfcareer/jobreqcareer?jobId=77&company=acmeUS&username=",
        "https://performancemanager5.successfactors.eu/career?company=acmeUS&career_job_req_id=77",
    ],
    "successfactors, recruiting marketing": [
        "https://jobs.acme.com/job/Berlin-Engineer-BE-10115/1031544101/",
        "https://jobs.acme.com/job/Berlin-Ingenieur-BE-10115/1031544101/?feedId=371&utm_source=Indeed",
        "https://jobs.acme.com/talentcommunity/apply/1031544101/?locale=de_DE",
        "https://jobs.acme.com/brand/job/Berlin-Engineer/1031544101",
    ],
    "icims": [
        "https://careers-acme.icims.com/jobs/12/engineer/job?mode=view",
        "careers-acme.icims.com/jobs/12/login",
        "https://careers-acme.icims.com/jobs/12/job?in_iframe=1",
    ],
    "bamboohr": ["https://acme.bamboohr.com/careers/12", "https://acme.bamboohr.com/jobs/view.php?id=12&source=x"],
    "workable": [
        "https://apply.workable.com/acme/j/A1B2C3D4E5/",
        "https://apply.workable.com/acme/j/a1b2c3d4e5/apply",
        "https://acme.workable.com/j/A1B2C3D4E5",
        "https://www.workable.com/j/A1B2C3D4E5",
    ],
    "workable, public search": [
        "https://jobs.workable.com/view/9xK2pQ7rT4/engineer",
        "https://jobs.workable.com/view/9xK2pQ7rT4/ingenieur-berlin",
    ],
    "smartrecruiters, form": [
        f"https://jobs.smartrecruiters.com/oneclick-ui/company/Acme/publication/{UUID}?dcr_ci=Acme",
        f"https://jobs.smartrecruiters.com/oneclick-ui/company/acme/publication/{UUID}",
    ],
    "umantis, .de": [
        "https://recruitingapp-5458.de.umantis.com/Vacancies/687/Description/1",
        "https://recruitingapp-5458.de.umantis.com/Vacancies/687/Description/2",
    ],
    "workable, number": ["https://acme.workable.com/jobs/123456", "https://acme.workable.com/backend/jobs/123456/browser"],
    "jobvite": [
        "https://jobs.jobvite.com/acme/job/oGm1zfwm",
        "https://jobs.jobvite.com/careers/acme/job/oGm1zfwm/apply?__jvst=Job+Board",
        "https://hire.jobvite.com/CompanyJobs/Careers.aspx?c=q1h9Vfw6&j=oGm1zfwm&k=Apply",
        "https://app.jobvite.com/j?cj=oGm1zfwm&s=Indeed",
        "https://app.jobvite.com/j?aj=oGm1zfwm&s=Indeed",
        "https://acme.com/careers?nl=1&jvi=oGm1zfwm,Job&jvs=Indeed",
    ],
    "jazzhr": [
        "https://acme.applytojob.com/apply/AbCdEf1234/Engineer",
        "acme.applytojob.com/apply/jobs/details/AbCdEf1234?source=x",
    ],
    "breezy": ["https://acme.breezy.hr/p/0123456789ab-engineer", "https://acme.breezy.hr/p/0123456789ab/apply"],
    "oracle": [
        "https://fa-abcd-saasfaprod1.fa.ocs.oraclecloud.com/hcmUI/CandidateExperience/en/sites/CX_1/job/2201",
        "https://fa-abcd-saasfaprod1.fa.ocs.oraclecloud.com/hcmUI/CandidateExperience/de/sites/CX_2/job/2201/apply/email",
        "https://fa-abcd-saasfaprod1.fa.ocs.oraclecloud.com/hcmUI/CandidateExperience/en/requisitions/preview/2201",
        "https://fa-abcd-saasfaprod1.fa.ocs.oraclecloud.com/hcmUI/CandidateExperience/en/sites/CX_1/jobs/preview/2201",
    ],
    "taleo": [
        "https://acme.taleo.net/careersection/2/jobdetail.ftl?job=1900012A&lang=en",
        "https://acme.taleo.net/careersection/ex/jobapply.ftl?lang=de&job=1900012A&src=JB-1",
    ],
    "taleo business": [
        "https://phh.tbe.taleo.net/phh02/ats/careers/v2/viewRequisition?org=ACME&cws=37&rid=1234",
        "https://phh.tbe.taleo.net/phh02/ats/careers/requisition.jsp?org=ACME&cws=1&rid=1234",
        "https://phh.tbe.taleo.net/phh02/ats/careers/v2/applyRequisition?org=acme&cws=37&rid=1234",
    ],
    "umantis": [
        "https://recruitingapp-2586.umantis.com/Vacancies/297/Description/1",
        "https://recruitingapp-2586.umantis.com/Vacancies/297/Description/2?lang=eng",
        "https://recruitingapp-2586.umantis.com/Vacancies/297/Application/CheckLogin/1?lang=ger",
    ],
    "concludis": [
        "https://acme.concludis.de/prj/shw/abc_0/9950/Pflegefachkraft_m_w_d.htm?b=36",
        "https://acme.concludis.de/prj/shw/def_1/9950/Pflegefachkraft.htm?b=0",
    ],
    "onlyfy": [
        "https://acme.onlyfy.jobs/job/zeebrjb67fc9oamo",
        "https://acme.onlyfy.jobs/en/job/zeebrjb67fc9oamo",
        "https://acme.onlyfy.jobs/candidate/job/print/zeebrjb67fc9oamo",
        "https://acme.prescreen.io/job/zeebrjb67fc9oamo",
    ],
    "eightfold": [
        "https://acme.eightfold.ai/careers/job/563602813594870",
        "https://acme.eightfold.ai/careers/job/563602813594870-engineer-berlin?domain=acme.com",
        "https://acme.eightfold.ai/careers?pid=563602813594870&query=engineer&location=Berlin",
        "https://careers.acme.com/careers/job/563602813594870-engineer",
    ],
    "phenom": [
        "https://careers.acme.com/us/en/job/R-12345/Engineer",
        "https://careers.acme.com/us/es/job/R-12345/Ingeniero?utm_medium=x",
        "https://careers.acme.com/us/en/apply?jobSeqNo=R-12345&step=1",
    ],
    "rippling": [
        f"https://ats.rippling.com/acme/jobs/{UUID}",
        f"https://ats.rippling.com/de-DE/acme-careers/jobs/{UUID}/apply?step=application",
        f"https://ats.us1.rippling.com/acme/jobs/{UUID}",
    ],
    "avature": [
        "https://acme.avature.net/careers/JobDetail/Senior-Recruiter/21654",
        "https://acme.avature.net/careers/JobDetail/21654?utm_source=x&ref=y",
        "https://acme.avature.net/de_DE/careers/JobDetail?jobId=21654",
        "https://acme.avature.net/careers/ApplicationMethods?jobId=21654",
    ],
    "no known ATS, one spelling": [
        "https://example.com/jobs/1203?id=4",
        "http://example.com/jobs/1203?id=4",
        "HTTPS://WWW.Example.COM/jobs/1203/?id=4",
        "https://example.com:443/jobs/1203?id=4",
        "https://example.com./jobs/%31203?utm_source=x&id=4&gclid=1&fbclid=2",
        "//example.com/jobs/1203?id=4",
        " example.com/jobs/1203?id=4 ",
        "https://example.com/jobs/1203?id=4#:~:text=Nurse",
    ],
    "no known ATS, from a job board": [
        "https://boards.example.com/acme/jobs/4000003014",
        "https://boards.example.com/acme/jobs/4000003014?source=stepstone#apply",
        "https://boards.example.com/acme/jobs/4000003014/?gh_src=5f3a1c",
        "https://boards.example.com/acme/jobs/4000003014?utm_campaign=autumn&ref=feed",
    ],
    "no known ATS, escapes": [
        "https://Bücher.de/jobs/Köln-Verkäufer?q=ä&id=12",
        "https://xn--bcher-kva.de/jobs/K%c3%b6ln-Verk%C3%A4ufer?id=12&q=%C3%A4",
    ],
    "no known ATS, the fragment names the job": ["https://acme.de/karriere#verkaeufer-bonn", "http://www.acme.de/karriere/#verkaeufer-bonn"],
}  # fmt: skip

WORKDAY = "https://acme.wd3.myworkdayjobs.com/External/job"
SF = "https://career5.successfactors.eu/career?career_ns=job_listing"
ORACLE = "https://{}.oraclecloud.com/hcmUI/CandidateExperience/en/sites/CX_1/job/{}"
DIFFERENT = [
    # a year, another group of the number, or a position behind it
    (f"{WORKDAY}/Store-Manager_R25_173", f"{WORKDAY}/Store-Manager_R26_173"),
    (f"{WORKDAY}/Nurse_R-2026-13", f"{WORKDAY}/Nurse_R-2026-12"),
    (f"{WORKDAY}/Nurse_R-2026-1", f"{WORKDAY}/Nurse_R-2026-2"),
    (f"{WORKDAY}/Nurse_2026-12", f"{WORKDAY}/Nurse_2026-13"),
    (f"{WORKDAY}/Nurse_R202611-1", f"{WORKDAY}/Nurse_R202611-2"),
    (f"{WORKDAY}/Nurse_R25-173", f"{WORKDAY}/Nurse_R25_173-2"),
    (f"{WORKDAY}/Nurse_R-4711-1", f"{WORKDAY}/Nurse_R-4711-2"),
    (f"{WORKDAY}/Nurse_R_173", f"{WORKDAY}/Nurse_R_1731"),
    (f"{WORKDAY}/Nurse_R-12345", f"{WORKDAY}/Nurse_JR-12345"),
    (f"{WORKDAY}/Nurse_R-12345", f"{WORKDAY}/Nurse_R-12346"),
    (f"{WORKDAY}/Nurse_R-012345", f"{WORKDAY}/Nurse_R-12345"),
    (f"{WORKDAY}/Nurse-R-12345", f"{WORKDAY}/Nurse_R-12345"),
    # another tenant with the same number
    (f"{WORKDAY}/Nurse_R-12345", "https://beta.wd3.myworkdayjobs.com/External/job/Nurse_R-12345"),
    ("https://wd3.myworkdaysite.com/recruiting/acme/X/job/N_R-12345", "https://wd3.myworkdaysite.com/recruiting/beta/X/job/N_R-12345"),
    (f"{SF}&company=acmeUS&career_job_req_id=77", f"{SF}&company=acmeDE&career_job_req_id=77"),
    (f"{SF}&career_job_req_id=77", f"{SF}&company=acmeDE&career_job_req_id=77"),
    (f"{SF}&company=acmeUS&career_job_req_id=77", f"{SF}&company=acmeUS&career_job_req_id=78"),
    (f"{SF}&company=acmeUS&career_job_req_id=77&career_job_req_id=78", f"{SF}&company=acmeUS&career_job_req_id=77"),
    ("https://jobs.acme.com/job/Berlin/1031544101/", "https://jobs.beta.com/job/Berlin/1031544101/"),
    ("https://jobs.acme.com/job/Berlin/1031544101/", "https://jobs.acme.com/job/Berlin/1031544201/"),
    ("https://jobs.acme.com/job/berlin/20261001", "https://jobs.acme.com/job/hamburg/20261001"),
    ("https://jobs.acme.com/go/Engineering/1031544101/", "https://jobs.acme.com/go/Engineering/1031544101/"),
    ("https://one.bamboohr.com/careers/12", "https://two.bamboohr.com/careers/12"),
    ("https://one.bamboohr.com/careers/12", "https://one.bamboohr.com/careers/120"),
    ("https://careers-acme.icims.com/jobs/12/x/job", "https://careers-beta.icims.com/jobs/12/x/job"),
    ("https://careers-acme.icims.com/jobs/12/x/job", "https://careers-acme.icims.com/jobs/13/x/job"),
    ("https://acme.dvinci-hr.com/de/jobs/12/x", "https://beta.dvinci-hr.com/de/jobs/12/x"),
    ("https://acme.dvinci-hr.com/de/jobs/12/x", "https://acme.dvinci-hr.com/de/jobs/21/x"),
    ("https://acme.recruitee.com/o/nurse", "https://beta.recruitee.com/o/nurse"),
    ("https://acme.recruitee.com/o/nurse", "https://acme.recruitee.com/o/nurse-2"),
    ("https://careers.beta.com/o/nurse", "https://acme.recruitee.com/o/nurse"),
    ("https://acme.taleo.net/careersection/2/jobdetail.ftl?job=19A", "https://beta.taleo.net/careersection/2/jobdetail.ftl?job=19A"),
    ("https://acme.taleo.net/careersection/2/jobdetail.ftl?job=19A", "https://acme.taleo.net/careersection/2/jobdetail.ftl?job=19B"),
    (
        "https://phh.tbe.taleo.net/phh02/ats/careers/v2/viewRequisition?org=ACME&cws=37&rid=12",
        "https://phh.tbe.taleo.net/phh02/ats/careers/v2/viewRequisition?org=BETA&cws=37&rid=12",
    ),
    (ORACLE.format("eeho.fa.us2", "2201"), ORACLE.format("abcd.fa.us2", "2201")),
    (ORACLE.format("eeho.fa.us2", "2201"), ORACLE.format("eeho.fa.em3", "2201")),
    (ORACLE.format("eeho.fa.us2", "2201"), ORACLE.format("eeho.fa.us2", "2202")),
    ("https://recruitingapp-2586.umantis.com/Vacancies/297/Description/1", "https://recruitingapp-2587.umantis.com/Vacancies/297/Description/1"),
    ("https://recruitingapp-2586.umantis.com/Vacancies/297/Description/1", "https://recruitingapp-2586.umantis.com/Vacancies/298/Description/1"),
    ("https://recruitingapp-2586.umantis.com/Vacancies/297/Description/1", "https://recruitingapp-2586.de.umantis.com/Vacancies/297/Description/1"),
    ("https://acme.concludis.de/prj/shw/a_0/9950/X.htm", "https://beta.concludis.de/prj/shw/a_0/9950/X.htm"),
    ("https://acme.concludis.de/prj/shw/a_0/9950/X.htm", "https://acme.concludis.de/prj/shw/a_0/9951/X.htm"),
    ("https://acme.onlyfy.jobs/job/zeebrjb67fc9oamo", "https://acme.onlyfy.jobs/job/Zeebrjb67fc9oamo"),
    ("https://acme.eightfold.ai/careers?pid=446697", "https://beta.eightfold.ai/careers?pid=446697"),
    ("https://acme.eightfold.ai/careers?pid=446697", "https://acme.eightfold.ai/careers?pid=446698"),
    ("https://acme.avature.net/careers/JobDetail/X/21654", "https://beta.avature.net/careers/JobDetail/X/21654"),
    ("https://acme.avature.net/careers/JobDetail/X/21654", "https://acme.avature.net/careers/JobDetail/X/21655"),
    ("https://acme.avature.net/careers/FolderDetail/X/21654", "https://acme.avature.net/careers/JobDetail/X/21654"),
    ("https://acme.rexx-systems.com/X-de-j123.html", "https://beta.rexx-systems.com/X-de-j123.html"),
    ("https://acme.rexx-systems.com/X-de-j123.html", "https://acme.rexx-systems.com/X-de-j124.html"),
    ("https://acme.workable.com/jobs/123456", "https://beta.workable.com/jobs/123456"),
    # one system counts jobs, postings and forms apart
    ("https://acme.softgarden.io/job/98765", "https://acme.de/jobs?jobDbPVId=98765"),
    ("https://acme.softgarden.io/job/1234?jobDbPVId=98765", "https://acme.softgarden.io/job/1235?jobDbPVId=98765"),
    ("https://acme.workable.com/jobs/1234567890", "https://apply.workable.com/acme/j/1234567890"),
    (
        f"https://jobs.smartrecruiters.com/oneclick-ui/company/Acme/publication/{UUID}",
        f"https://jobs.smartrecruiters.com/oneclick-ui/company/Acme/publication/{OTHER}",
    ),
    ("https://app.greenhouse.io/sdash/4012873008", "https://boards.greenhouse.io/acme/jobs/4012873008"),
    # case that tells ids apart
    ("https://jobs.jobvite.com/acme/job/oGm1zfwm", "https://jobs.jobvite.com/acme/job/oGm1zfWm"),
    ("https://acme.applytojob.com/apply/AbCdEf1234", "https://acme.applytojob.com/apply/abcdef1234"),
    ("https://example.com/jobs/a1234", "https://example.com/jobs/A1234"),
    ("https://example.com/?id=abc123", "https://example.com/?id=ABC123"),
    # other ids
    ("https://boards.greenhouse.io/acme/jobs/4012873008", "https://boards.greenhouse.io/acme/jobs/4012873009"),
    ("https://acme.com/careers?gh_jid=401", "https://acme.com/careers?gh_jid=402"),
    ("https://acme.com/careers?gh_jid=401&gh_jid=402", "https://acme.com/careers?gh_jid=401"),
    ("https://boards.greenhouse.io/acme/jobs/401x", "https://boards.greenhouse.io/acme/jobs/401"),
    (f"https://jobs.lever.co/acme/{UUID}", f"https://jobs.lever.co/acme/{OTHER}"),
    (f"https://jobs.ashbyhq.com/acme/{UUID}", f"https://jobs.ashbyhq.com/acme/{OTHER}"),
    (f"https://jobs.lever.co/acme/{UUID}", f"https://jobs.ashbyhq.com/acme/{UUID}"),
    (f"https://ats.rippling.com/acme/jobs/{UUID}", f"https://ats.rippling.com/acme/jobs/{OTHER}"),
    ("https://jobs.smartrecruiters.com/Acme/743999712345678-x", "https://jobs.smartrecruiters.com/Acme/743999712345679-x"),
    ("https://acme.jobs.personio.de/job/123456", "https://acme.jobs.personio.de/job/1234567"),
    ("https://join.com/companies/acme/1234567-x", "https://join.com/companies/acme/1234568-x"),
    ("https://acme.teamtailor.com/jobs/1234567-x", "https://acme.teamtailor.com/jobs/7654321-x"),
    ("https://acme.breezy.hr/p/0123456789ab-x", "https://acme.breezy.hr/p/0123456789ac-x"),
    ("https://careers.acme.com/us/en/job/R-12345/X", "https://careers.acme.com/us/en/job/R-12346/X"),
    # a country, a folder or a language in an address that nothing is known of
    ("https://careers.acme.com/us/en/job/R-12345/X", "https://careers.acme.com/de/de/job/R-12345/X"),
    ("https://acme.com/hr/trainee", "https://acme.com/it/trainee"),
    ("https://acme.com/hr/trainee-program-2026a", "https://acme.com/it/trainee-program-2026a"),
    ("https://acme.com/fr/jobs/112", "https://acme.com/de/jobs/112"),
    ("https://acme.com/de-at/jobs/112", "https://acme.com/de-de/jobs/112"),
    ("https://acme.com/jobs/112?lang=de", "https://acme.com/jobs/112?lang=en"),
    ("https://acme.fr/jobs/104711-vendeur", "https://acme.de/jobs/104711-verkaeufer"),
    ("https://acme.com/koeln/verkaeufer-im-laden", "https://acme.com/bonn/verkaeufer-im-laden"),
    ("https://one.example.com/jobs/112", "https://two.example.com/jobs/112"),
    ("https://example.com:8080/jobs/112", "https://example.com/jobs/112"),
    ("https://example.com/jobs/112", "https://example.com/jobs/112/2"),
    ("https://example.com/jobs//112", "https://example.com/jobs/112"),
    # a parameter
    ("https://acme.com/view_job.php?ref=4712", "https://acme.com/view_job.php?ref=4711"),
    ("https://acme.com/view_job.php?ref=4712", "https://acme.com/view_job.php"),
    ("https://acme.com/job?source_id=4712", "https://acme.com/job?source_id=4711"),
    ("https://acme.com/jobs/112?source_id=1", "https://acme.com/jobs/112?source_id=2"),
    ("https://acme.com/jobs/112?ref=1", "https://acme.com/jobs/112"),
    ("https://acme.com/jobs/112?ref=koeln", "https://acme.com/jobs/112?ref=bonn"),
    ("https://acme.com/jobs?jobId=1", "https://acme.com/jobs?jobId=2"),
    ("https://acme.com/jobs?id=1&pos=1203", "https://acme.com/jobs?id=1&pos=1204"),
    ("https://acme.com/jobs?id=1203&location=koeln", "https://acme.com/jobs?id=1203&location=bonn"),
    ("https://acme.com/jobs?a=1203&a=1204", "https://acme.com/jobs?a=1204&a=1203"),
    ("https://acme.com/index.php?p=1203&page_id=1", "https://acme.com/index.php?p=1204&page_id=1"),
    # a fragment
    ("https://acme.com/karriere#verkaeufer-bonn", "https://acme.com/karriere#verkaeufer-koeln"),
    ("https://acme.com/karriere#verkaeufer-bonn", "https://acme.com/karriere"),
    ("https://acme.com/careers#/job/1201", "https://acme.com/careers#/job/1202"),
    ("https://acme.com/#!/job/1201", "https://acme.com/#!/job/1202"),
    ("https://acme.com/jobs/112#koeln", "https://acme.com/jobs/112#bonn"),
    # escapes that hide a difference
    ("https://acme.com/jobs/112%2F3", "https://acme.com/jobs/112/3"),
    ("https://acme.com/jobs/verk%E4ufer-bonn", "https://acme.com/jobs/verk%F6ufer-bonn"),
    ("https://acme.com/jobs/112%253", "https://acme.com/jobs/1123"),
    ("https://acme.com/jobs?id=1203%261204", "https://acme.com/jobs?id=1203&1204"),
    # a host that only looks like an ATS
    ("https://boards.greenhouse.io.evil.com/acme/jobs/4012873008", "https://boards.greenhouse.io/acme/jobs/4012873008"),
    ("https://evil.com/boards.greenhouse.io/acme/jobs/4012873008", "https://boards.greenhouse.io/acme/jobs/4012873008"),
    ("https://xboards.greenhouse.io/acme/jobs/4012873008", "https://boards.greenhouse.io/acme/jobs/4012873008"),
    ("https://acme-bamboohr.com/careers/12", "https://acme.bamboohr.com/careers/12"),
]  # fmt: skip


@pytest.mark.parametrize("ats", SAME)
def test_addresses_of_one_job_meet(ats: str) -> None:
    first, *others = SAME[ats]
    assert [other for other in others if not meet(other, first)] == []
    assert [other for other in others if not meet(first, other)] == []


@pytest.mark.parametrize(("own", "ats"), DIFFERENT)
def test_addresses_of_different_jobs_do_not_meet(own: str, ats: str) -> None:
    assert not meet(own, ats)
    assert not meet(ats, own)


def test_the_tables_are_large_and_no_group_meets_another() -> None:
    assert sum(len(group) - 1 for group in SAME.values()) >= 100
    assert len(DIFFERENT) >= 100
    firsts = [group[0] for group in SAME.values()]
    assert not any(meet(one, other) for one, other in pairwise(firsts))
    assert len({canonical_url(first) for first in firsts}) == len(firsts)


def test_every_row_of_the_table_of_shapes_is_tried() -> None:
    urls = [url for group in SAME.values() for url in group]
    read_urls = [address for url in urls if (address := read(url))]
    untried = [
        shape
        for shape in SHAPES
        if not any(list(addresses._named(address, addresses._by_host([shape]))) for address in read_urls)
    ]
    assert untried == []


@pytest.mark.parametrize(
    "url",
    [
        "a." * 50_000,
        "https://a.com/" + "a/" * 50_000,
        "https://a.com/" + "_" * 100_000,
        "https://acme.wd3.myworkdayjobs.com/x/job/" + "a_" * 50_000 + "1",
        "https://acme.rexx-systems.com/" + "-j1" * 33_000,
        "https://a.com/?" + "a=1&" * 25_000,
        "https://a.com/?gh_jid=" + "1" * 100_000,
        "https://a.com/#" + "/a-b" * 25_000,
        "https://" + "a" * 100_000 + ".com/1",
        "https://a.com/job/" + "1" * 100_000,
        "www." * 25_000 + "a.com/1",
    ],
)
def test_an_address_of_any_length_is_read_in_no_time(url: str) -> None:
    started = time.monotonic()
    meet(url, url)
    assert time.monotonic() - started < 1
