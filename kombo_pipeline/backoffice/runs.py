"""Start runs of one integration in Dagster and find those under way, through the GraphQL of its webserver."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from kombo_pipeline import certificates

RESPONSE_SECONDS: Final = 20
"""A webserver that does not respond by then counts as down; one that has just started needs several seconds."""
LOCATION: Final = "kombo_pipeline"
PARTITIONS: Final = "integration"

_NOT_UNDERSTOOD: Final = "The server at KOMBO_DAGSTER_WEBSERVER does not respond as Dagster does. Check the address."
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


class _Message(msgspec.Struct):
    message: str


class _Run(msgspec.Struct):
    run_id: str = msgspec.field(name="runId")


class _Field(msgspec.Struct):
    """A field of a GraphQL response: one of the types that the queries above name."""

    kind: str = msgspec.field(name="__typename")
    message: str | None = None
    errors: list[_Message] = []
    results: list[_Run] = []
    run: _Run | None = None


class _Response(msgspec.Struct):
    data: dict[str, _Field] | None = None
    errors: list[_Message] | None = None


class NotStartedError(RuntimeError):
    """No run was started; the message says why, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run in Dagster."""

    run_id: str
    started: bool
    """False: it was under way already, and no other run was started."""


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
        """Start a run that fetches one integration, unless one is under way.

        Raises NotStartedError when the webserver does not respond, has not loaded the project, or refuses.
        """
        tags = {"dagster/partition": integration_id}
        found = self._ask(
            _IN_FLIGHT,
            {"filter": {"tags": _tags(tags), "statuses": list(_UNFINISHED)}},
            expected={"runsOrError": {"Runs"}},
        )
        if running := found["runsOrError"].results:
            return Run(running[0].run_id, started=False)
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
            expected={
                "addDynamicPartition": {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"},
                "launchRun": {"LaunchRunSuccess"},
            },
        )
        run = launched["launchRun"].run
        if run is None:
            raise NotStartedError(_NOT_UNDERSTOOD)
        return Run(run.run_id, started=True)

    def _ask(self, query: str, variables: dict[str, Any], *, expected: Mapping[str, set[str]]) -> dict[str, _Field]:
        """Send a query; return the fields of the response, each of one of the types that are expected for it."""
        try:
            response = httpx.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=httpx.Timeout(RESPONSE_SECONDS, connect=3),
                verify=certificates.trusted(),
            )
            response.raise_for_status()
            body = msgspec.json.decode(response.content, type=_Response)
        except httpx.HTTPStatusError as error:
            raise NotStartedError(
                f"Dagster's webserver answered {error.response.status_code}. Check KOMBO_DAGSTER_WEBSERVER."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotStartedError(
                "Dagster's webserver does not answer, so no run was started. Start it or check "
                "KOMBO_DAGSTER_WEBSERVER, and try again."
            ) from error
        except ValueError as error:
            raise NotStartedError(_NOT_UNDERSTOOD) from error
        data = body.data or {}
        for name in expected.keys() & data.keys():
            field = data[name]
            if field.kind not in expected[name]:
                raise NotStartedError(_refusal(field))
        if body.errors:
            raise NotStartedError(f"Dagster did not understand the request: {_shown(body.errors[0].message)}")
        if data.keys() != expected.keys():
            raise NotStartedError(_NOT_UNDERSTOOD)
        return data


def _refusal(field: _Field) -> str:
    if field.kind == "UnauthorizedError":
        return (
            f"The Dagster webserver of KOMBO_DAGSTER_WEBSERVER is read-only or has not loaded {LOCATION}. "
            "Look at Deployment in its UI, and try again."
        )
    if field.kind in ("PipelineNotFoundError", "RepositoryNotFoundError", "RepositoryLocationNotFound"):
        return f"Dagster has not loaded the code location {LOCATION}. Look at Deployment in its UI, and try again."
    reasons = [each.message for each in field.errors] or [field.message or field.kind]
    return f"Dagster refused: {_shown(reasons[0])}"


def _shown(reason: str) -> str:
    return (reason.strip().splitlines() or [""])[0][:300]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
