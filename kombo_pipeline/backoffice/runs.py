"""Runs of one integration, started in Dagster and looked up there, through its webserver's GraphQL."""

import functools
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

ANSWER_SECONDS: Final = 20
"""A webserver that has not answered by then is as good as down; one that just started needs several seconds."""
LOCATION: Final = "kombo_pipeline"
PARTITIONS: Final = "integration"

_UNFINISHED: Final = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_IN_FLIGHT: Final = """
query InFlight($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 1) {
    __typename
    ... on Runs { results { runId jobName status } }
    ... on InvalidPipelineRunsFilterError { message }
    ... on PythonError { message }
  }
}
"""
# The partition is added as the webhook sensor does it, which may not have come to a new integration yet.
_LAUNCH: Final = """
mutation Launch($partition: String!, $partitions: String!, $repository: RepositorySelector!, $run: ExecutionParams!) {
  addDynamicPartition(partitionKey: $partition, partitionsDefName: $partitions, repositorySelector: $repository) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
  launchRun(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


class NotStartedError(RuntimeError):
    """No run was started; the message says why, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run in Dagster."""

    run_id: str
    started: bool
    """False: it was in flight already, and no other one was started."""


@dataclass(frozen=True)
class Dagster:
    """A Dagster webserver."""

    url: str

    def partition_url(self, integration_id: str) -> str:
        """Where the UI shows an integration's partition of the jobs asset."""
        return f"{self.url}/assets/jobs?view=partitions&partition={quote(integration_id, safe='')}"

    def run_url(self, run_id: str) -> str:
        """Where the UI shows a run."""
        return f"{self.url}/runs/{quote(run_id, safe='')}"

    def fetch(self, integration_id: str, *, full: bool, by: str) -> Run:
        """Start a run that fetches one integration, unless one is in flight.

        Raises NotStartedError when the webserver does not answer, has not loaded the project, or refuses.
        """
        tags = {"dagster/partition": integration_id}
        found = self._ask(
            _IN_FLIGHT, {"filter": {"tags": _tags(tags), "statuses": list(_UNFINISHED)}}, expected={"Runs"}
        )
        if found["runsOrError"]["results"]:
            return Run(found["runsOrError"]["results"][0]["runId"], started=False)
        repository = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
        launched = self._ask(
            _LAUNCH,
            {
                "partition": integration_id,
                "partitions": PARTITIONS,
                "repository": repository,
                "run": {
                    "selector": {**repository, "jobName": "full_reconcile" if full else "sync_integration"},
                    # A run launched here does not get the job's own configuration.
                    "runConfigData": {"ops": {"raw_job_pages": {"config": {"full": full}}}},
                    "mode": "default",
                    "executionMetadata": {
                        "tags": _tags(tags | {"kombo/trigger": "back office", "kombo/requested_by": by})
                    },
                },
            },
            expected={"LaunchRunSuccess", "AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"},
        )
        return Run(launched["launchRun"]["run"]["runId"], started=True)

    def _ask(self, query: str, variables: dict[str, Any], *, expected: set[str]) -> dict[str, Any]:
        """Return the data of an answer in which every field has one of the expected types."""
        try:
            answer = httpx.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=3),
                verify=_trust(),
            )
            answer.raise_for_status()
            body = answer.json()
        except httpx.HTTPStatusError as error:
            raise NotStartedError(
                f"Dagster's webserver answered {error.response.status_code}. Check KOMBO_DAGSTER_WEBSERVER."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NotStartedError(
                "Dagster's webserver does not answer, so no run was started. Start it or check "
                "KOMBO_DAGSTER_WEBSERVER, and try again."
            ) from error
        data = body.get("data") or {}
        for field in data.values():
            if field["__typename"] not in expected:
                raise NotStartedError(_refusal(field))
        if not data or body.get("errors"):
            reason = (body.get("errors") or [{"message": "no data"}])[0]["message"]
            raise NotStartedError(f"Dagster did not understand the request: {_shown(reason)}")
        return dict(data)


def _refusal(field: dict[str, Any]) -> str:
    kind = field["__typename"]
    if kind == "UnauthorizedError":
        return (
            f"The Dagster webserver of KOMBO_DAGSTER_WEBSERVER is read-only or has not loaded {LOCATION}. "
            "Look at Deployment in its UI, and try again."
        )
    if kind in ("PipelineNotFoundError", "RepositoryNotFoundError", "RepositoryLocationNotFound"):
        return f"Dagster has not loaded the code location {LOCATION}. Look at Deployment in its UI, and try again."
    reasons = [each["message"] for each in field.get("errors", [])] or [field.get("message") or kind]
    return f"Dagster refused: {_shown(reasons[0])}"


def _shown(reason: object) -> str:
    return (str(reason).strip().splitlines() or [""])[0][:300]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@functools.cache
def _trust() -> ssl.SSLContext:
    # Loading the certificates costs more than a request.
    return httpx.create_ssl_context()
