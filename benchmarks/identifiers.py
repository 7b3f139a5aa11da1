"""Links that identifiers make by themselves, against known truth: right, wrong, and compared with another version.

    python -m benchmarks.identifiers [--seeds N] [--jobs N] [--save FILE] [--against FILE]

Decides for customers of the sandbox, whose truth is known, and for each pair of the test tables of addresses and codes.
`--save` keeps the pairs that were linked; `--against` compares with a file that another version of the code saved, and
says how many right links were lost and how many are new.
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

from benchmarks import lab
from kombo_pipeline.matching.identifiers import AtsIdentity, OwnIdentity, decide
from kombo_pipeline.own_jobs import reading
from kombo_pipeline.sandbox.job_feed import job_feed, own_jobs
from kombo_pipeline.sandbox.life import populate
from kombo_pipeline.sandbox.world import World
from kombo_pipeline_tests.matching import test_addresses, test_codes

Linked = dict[str, bool]
"""Whether each link that was made is right."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3, help="worlds of the sandbox")
    parser.add_argument("--jobs", type=int, default=2000, help="ATS jobs of a customer")
    parser.add_argument("--save", type=Path, help="write the links that were made")
    parser.add_argument("--against", type=Path, help="a file that --save wrote")
    arguments = parser.parse_args()
    print(lab.machine())
    found: dict[str, Linked] = {
        "sandbox": _sandbox(arguments.seeds, arguments.jobs),
        "table of addresses": _pairs(
            [(group[0], other) for group in test_addresses.SAME.values() for other in group[1:]],
            test_addresses.DIFFERENT,
            "post_url",
        ),
        "table of codes": _pairs(test_codes.SAME, test_codes.DIFFERENT, "job_code"),
    }
    if arguments.save:
        arguments.save.write_text(json.dumps(found))
    before: dict[str, Linked] = json.loads(arguments.against.read_text()) if arguments.against else {}
    print("\n| set | right | wrong | right before | wrong before | right lost | newly right |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for name, linked in found.items():
        right, was_right = _right(linked), _right(before.get(name, {}))
        counts: list[Any] = [len(right), len(linked) - len(right)]
        if before:
            wrong_before = len(before[name]) - len(was_right)
            counts += [len(was_right), wrong_before, len(was_right - right), len(right - was_right)]
        print("|", name, "|", " | ".join(map(str, counts)), "|")


def _right(linked: Linked) -> set[str]:
    return {link for link, is_right in linked.items() if is_right}


def _sandbox(seeds: int, jobs: int) -> Linked:
    linked: Linked = {}
    for seed in range(1, seeds + 1):
        world = World(seed=seed)
        populate(world, integrations=5, jobs=jobs)
        for integration_id in world.integrations():
            made = own_jobs(world, integration_id)
            truth = {job.id: job.truth for job in made}
            read = list(reading.read(io.BytesIO(job_feed(made, publisher="benchmark"))))
            ats = [_ats(world.ats_job(integration_id, job)) for job in world.ats_jobs(integration_id)]
            for link in decide([_own(job) for job in read], ats).links:
                is_right = truth[link.own_id].ats_id == link.ats_id
                linked[f"{seed} {integration_id} {link.own_id} {link.ats_id}"] = is_right
    return linked


def _own(job: Any) -> OwnIdentity:
    named = (job.own_job_id, job.title, job.kombo_job_id, job.remote_id, job.job_code, job.post_url)
    return OwnIdentity(*named, location=job.location, department=job.department, employment_type=job.employment_type)


def _ats(job: dict[str, Any]) -> AtsIdentity:
    urls = [job["post_url"], job["remote_url"], *(each["url"] for each in job["job_postings"])]
    return AtsIdentity(
        job["id"],
        job["name"],
        job["remote_id"],
        job["job_code"],
        tuple(filter(None, urls)),
        location=(job.get("location") or {}).get("raw"),
        department=job.get("department"),
        employment_type=job.get("employment_type"),
    )


def _pairs(same: list[tuple[str, str]], different: list[tuple[str, str]], method: str) -> Linked:
    """Each pair by itself, as the only own job and the only ATS job of a customer."""
    linked: Linked = {}
    for pairs, is_right in ((same, True), (different, False)):
        for own, ats in pairs:
            theirs = {"urls": (ats,)} if method == "post_url" else {method: ats}
            if decide([OwnIdentity("1", **{method: own})], [AtsIdentity("A", **theirs)]).links:  # type: ignore[arg-type]
                linked[f"{own} {ats}"] = is_right
    return linked


if __name__ == "__main__":
    main()
