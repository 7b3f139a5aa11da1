"""The names under which files bring what an own job has."""

from collections.abc import Mapping
from typing import Final

# The names under which files bring a column, the first that has a value counts; compared without case,
# blanks and punctuation.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    column: (column.replace("_", ""), *names.split())
    for column, names in {
        "own_job_id": "id jobid referencenumber reference jobreference refnumber ref externalid vacancyid guid",
        "title": "jobtitle name position positiontitle titel stellentitel stellenbezeichnung",
        "kombo_job_id": "komboid",
        "remote_id": "atsid atsjobid",
        "job_code": "code requisitionid requisition requisitionnumber reqid kennziffer",
        "post_url": "url link joburl postingurl applyurl",
        "location": "place office ort standort arbeitsort",
        "department": "abteilung team category",
        "employment_type": "jobtype contracttype anstellungsart type",
        "posted_at": "posted dateposted postedon date publishedat publicationdate pubdate createdat datum",
    }.items()
}
PLACE: Final = (("city", "town", "stadt"), ("state", "region", "province"), ("country", "countrycode", "land"))
