"""The world: integrations, their two layers, the webhooks they cause.

Deterministic by seed, driven by hand, thread-safe.
What happens in the ATS (`open_job` to `repost_job`) shows through Kombo only after `sync` or
`upstream_event`. Jobs are named by the Kombo id they will have. Methods raise `KeyError` for an integration
or job that does not exist.
"""

import random
import threading
from collections import deque
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from kombo_pipeline.sandbox import deliveries, words
from kombo_pipeline.sandbox.ats import Ats, Opened
from kombo_pipeline.sandbox.behaviour import Behaviour
from kombo_pipeline.sandbox.clock import Clock
from kombo_pipeline.sandbox.deliveries import Issue, Webhook
from kombo_pipeline.sandbox.integration import COPYING_STATES, Integration, QueuedSync, Sync, SyncKind
from kombo_pipeline.sandbox.job_pages import Pages
from kombo_pipeline.sandbox.mirror import Mutation
from kombo_pipeline.sandbox.outbox import Outbox
from kombo_pipeline.sandbox.query import JobQuery
from kombo_pipeline.sandbox.records import Record, RecordMaker, kombo_id
from kombo_pipeline.sandbox.traffic import Fault, Request, random_fault, take_fault


class World:
    """Everything the sandbox knows. `behaviour`, `faults` and `clock` may be changed at any time."""

    def __init__(self, seed: int = 0, clock: Clock | None = None, behaviour: Behaviour | None = None) -> None:
        self.seed = seed
        self.clock = clock or Clock()
        self.behaviour = behaviour or Behaviour()
        self.faults: deque[Fault] = deque()
        self.requests: deque[Request] = deque(maxlen=10_000)
        self._lock = threading.RLock()
        self._rng = random.Random(seed)
        self._integrations: dict[str, Integration] = {}
        self._issues: dict[str, Issue] = {}
        self._pages = Pages(seed)
        self._outbox = Outbox(self._rng)
        self._ids = 0

    # Integrations

    def add_integration(
        self,
        *,
        tool: str = "greenhouse",
        organization: str | None = None,
        origin_id: str | None = None,
        jobs: int = 0,
        synced: bool = True,
        integration_id: str | None = None,
        unsupported: frozenset[str] = frozenset(),
    ) -> str:
        """Connect a customer with `jobs` generated jobs; `synced` means that the first sync has succeeded.

        `unsupported` are the job fields this tool does not provide.
        """
        with self._lock:
            number = len(self._integrations)
            integration_id = integration_id or f"{tool}:{kombo_id(self.seed, 'integration', number)}"
            if integration_id in self._integrations:
                raise ValueError(f"{integration_id} exists already")
            organization = organization or words.ORGANIZATIONS[number % len(words.ORGANIZATIONS)]
            maker = RecordMaker(seed=self.seed, integration_id=integration_id, organization=organization)
            integration = Integration(
                id=integration_id,
                tool=tool,
                organization=organization,
                origin_id=origin_id if origin_id is not None else str(36_123 + number),
                created_at=self.clock.now(),
                ats=Ats(integration_id, maker),
                unsupported=unsupported,
            )
            self._integrations[integration_id] = integration
            for _ in range(jobs):
                integration.ats.open(self.clock.now())
            self._send("integration-created", deliveries.integration_created(integration), integration)
            if synced:
                self.sync(integration_id)
            return integration_id

    def integrations(self) -> list[str]:
        """The ids of all integrations that were not deleted, oldest first."""
        with self._lock:
            return [key for key, value in self._integrations.items() if value.deleted_at is None]

    def integration(self, integration_id: str) -> Integration:
        """One integration, as of now; `KeyError` if unknown or deleted."""
        with self._lock:
            self.settle()
            integration = self._integrations[integration_id]
            if integration.deleted_at is not None:
                raise KeyError(integration_id)
            return integration

    # The ATS

    def ats_job(self, integration_id: str, job_id: str) -> Record:
        """A job as its ATS holds it."""
        with self._lock:
            return self.integration(integration_id).ats.record(job_id)

    def ats_jobs(self, integration_id: str) -> list[str]:
        """The ids of all jobs in the ATS, in order of creation."""
        with self._lock:
            return list(self.integration(integration_id).ats.jobs)

    def opened_jobs(self, integration_id: str) -> dict[str, Opened]:
        """The jobs that were opened in the ATS, whatever became of them, as they were at first, oldest first."""
        with self._lock:
            return dict(self.integration(integration_id).ats.opened)

    def open_job(self, integration_id: str, **fields: Any) -> str:
        """Create a job, generated and overwritten by `fields`; returns its id."""
        with self._lock:
            return self.integration(integration_id).ats.open(self.clock.now(), **fields)

    def edit_job(self, integration_id: str, job_id: str, **fields: Any) -> None:
        """Change properties of a job."""
        with self._lock:
            self.integration(integration_id).ats.edit(job_id, self.clock.now(), **fields)

    def set_status(self, integration_id: str, job_id: str, status: str | None) -> None:
        """Open, close, archive a job, or give it the ATS's own word; closing dates `closed_at`, reopening
        clears it.
        """
        with self._lock:
            self.integration(integration_id).ats.set_status(job_id, status, self.clock.now())

    def edit_nested(self, integration_id: str, job_id: str, list_name: str, entry_index: int, **fields: Any) -> None:
        """Edit the record linked by `stages`, `screening_questions`, `job_postings` or `hiring_team`."""
        with self._lock:
            self.integration(integration_id).ats.edit_nested(job_id, list_name, entry_index, **fields)

    def add_nested(self, integration_id: str, job_id: str, list_name: str, **fields: Any) -> str:
        """Add an entry to a nested list; returns its id."""
        with self._lock:
            return self.integration(integration_id).ats.add_nested(job_id, list_name, **fields)

    def remove_nested(self, integration_id: str, job_id: str, list_name: str, entry_index: int) -> None:
        """Remove an entry from a nested list."""
        with self._lock:
            self.integration(integration_id).ats.remove_nested(job_id, list_name, entry_index)

    def delete_job(self, integration_id: str, job_id: str) -> None:
        """Delete a job in the ATS; the next full sync finds it missing."""
        with self._lock:
            self.integration(integration_id).ats.delete(job_id)

    def restore_job(self, integration_id: str, job_id: str) -> None:
        """Bring a deleted job back under its old ids."""
        with self._lock:
            self.integration(integration_id).ats.restore(job_id)

    def repost_job(self, integration_id: str, job_id: str) -> str:
        """Open the same job under a new remote id; the old one stays as it is. Returns the new id."""
        with self._lock:
            return self.integration(integration_id).ats.repost(job_id, self.clock.now())

    # Kombo

    def sync(self, integration_id: str, state: str = "SUCCEEDED", *, kind: SyncKind = "FULL") -> Sync:
        """End a sync in `state`; queues `sync-finished`, and `data-changed` if something changed.

        SUCCEEDED copies everything, PARTIALLY_FAILED about half of the changed jobs and no deletion, any
        other state nothing. Only FULL detects deletions.
        """
        with self._lock:
            integration = self.integration(integration_id)
            return self._sync(integration, state, kind=kind, sync_id=self._new_id("sync"))

    def _sync(self, integration: Integration, state: str, *, kind: SyncKind, sync_id: str) -> Sync:
        now = self.clock.now()
        models: set[str] = set()
        whole = state == "SUCCEEDED"
        if state in COPYING_STATES:
            models = integration.copy(
                now,
                question_edits_count=self.behaviour.question_edits_count,
                deletions=whole and kind == "FULL",
                picked=lambda _: whole or self._rng.random() < 0.5,
            )
        sync = Sync(
            sync_id=sync_id,
            state=state,
            kind=kind,
            started_at=now - timedelta(seconds=self.behaviour.sync_seconds),
            ended_at=now,
            changed_models=tuple(sorted(models)),
        )
        integration.last_sync = sync
        if state in COPYING_STATES:
            integration.data_expired_at = None
            if not integration.synced:
                integration.synced = True
                settled = {"FINAL_SYNC_PENDING": "COMPLETED"}.get(integration.setup_status)
                passed = {"PENDING": "PASSED"}.get(integration.qa_status)
                self.set_state(integration.id, setup_status=settled, qa_status=passed)
        self._send("sync-finished", deliveries.sync_finished(integration, sync), integration)
        if models:
            self._send("data-changed", deliveries.data_changed(integration, sync.changed_models), integration)
        return sync

    def queue_sync(
        self, integration_id: str, *, kind: SyncKind = "FULL", delay: timedelta = timedelta(0)
    ) -> tuple[QueuedSync, bool]:
        """Let a sync succeed after `delay`; returns it and whether one of its kind was queued already."""
        with self._lock:
            integration = self.integration(integration_id)
            if kind in integration.queued:
                return integration.queued[kind], True
            queued = QueuedSync(self._new_id("sync"), self.clock.now() + delay)
            integration.queued[kind] = queued
            self.settle()
            return queued, False

    def upstream_event(self, integration_id: str, job_id: str) -> None:
        """The tool told Kombo about one job: it is copied at once, with `data-changed` and no
        `sync-finished`.

        A job deleted in the ATS is not noticed: only full syncs detect deletions (Kombo docs).
        """
        with self._lock:
            integration = self.integration(integration_id)
            models = integration.copy(
                self.clock.now(),
                question_edits_count=self.behaviour.question_edits_count,
                deletions=False,
                picked=lambda touched: touched == job_id,
            )
            if models:
                self._send("data-changed", deliveries.data_changed(integration, sorted(models)), integration)

    def purge(self, integration_id: str | None = None) -> int:
        """Remove or anonymise tombstones older than 14 days; returns how many. Reads do it by themselves."""
        with self._lock:
            chosen = [integration_id] if integration_id else list(self._integrations)
            now, anonymise = self.clock.now(), self.behaviour.anonymise_purged
            return sum(self._integrations[key].mirror.purge(now, anonymise=anonymise) for key in chosen)

    def settle(self) -> None:
        """Do what time has brought: purge, and finish the queued syncs that are due."""
        with self._lock:
            self.purge()
            now = self.clock.now()
            for integration in list(self._integrations.values()):
                for kind, queued in list(integration.queued.items()):
                    if queued.due <= now:
                        del integration.queued[kind]
                        self._sync(integration, "SUCCEEDED", kind=kind, sync_id=queued.sync_id)

    def set_state(
        self,
        integration_id: str,
        *,
        state: str | None = None,
        setup_status: str | None = None,
        qa_status: str | None = None,
    ) -> None:
        """Move the state of an integration; INACTIVE cancels its queued syncs."""
        with self._lock:
            integration = self.integration(integration_id)
            before = (integration.state, integration.setup_status, integration.qa_status)
            integration.state = state or integration.state
            integration.setup_status = setup_status or integration.setup_status
            integration.qa_status = qa_status or integration.qa_status
            if integration.state == "INACTIVE":
                queued, integration.queued = integration.queued, {}
                for kind, sync in queued.items():
                    self._sync(integration, "CANCELLED", kind=kind, sync_id=sync.sync_id)
            if before != (integration.state, integration.setup_status, integration.qa_status):
                data = deliveries.integration_state_changed(integration, self.clock.now())
                self._send("integration-state-changed", data, integration)

    def delete_integration(self, integration_id: str) -> None:
        """Delete a connection: its reads are answered with 404 from here on, no job gets a tombstone."""
        with self._lock:
            integration = self.integration(integration_id)
            integration.deleted_at = self.clock.now()
            integration.queued.clear()
            data = deliveries.integration_deleted(integration, integration.deleted_at)
            self._send("integration-deleted", data, integration)

    def enable_jobs_model(self, integration_id: str, *, enabled: bool = True) -> None:
        """Switch the jobs model on; while off, the next sync marks every job deleted (Kombo docs)."""
        with self._lock:
            integration = self.integration(integration_id)
            integration.jobs_model_enabled = enabled
            integration.data_expired_at = self.clock.now()
            integration.ats.touched.update(integration.ats.jobs)

    def disable_jobs_model(self, integration_id: str) -> None:
        """Switch the jobs model off."""
        self.enable_jobs_model(integration_id, enabled=False)

    def connection_flow_failed(self, *, tool: str = "personio", organization: str = "Newcomer Ltd") -> None:
        """A customer failed to connect."""
        with self._lock:
            data = deliveries.connection_flow_failed(tool=tool, organization=organization, origin_id=None)
            self._send("connection-flow-failed", data, None)

    def raise_issue(
        self,
        integration_id: str | None = None,
        *,
        issue_type: str = "integration.authentication_failed",
        title: str = "Authentication failed",
    ) -> str:
        """Raise an issue of an integration, or of the whole environment; returns its id."""
        with self._lock:
            issue = Issue(
                issue_id=self._new_id("issue"),
                type=issue_type,
                title=title,
                message=f"{title}. Ask the customer to reconnect.",
                first_observed_at=self.clock.now(),
                integration_id=integration_id,
            )
            self._issues[issue.issue_id] = issue
            self._send_issue(issue)
            return issue.issue_id

    def resolve_issue(self, issue_id: str) -> None:
        """Resolve an issue."""
        with self._lock:
            issue = self._issues[issue_id]
            issue.resolved_at = self.clock.now()
            self._send_issue(issue)

    def _send_issue(self, issue: Issue) -> None:
        integration = self._integrations[issue.integration_id] if issue.integration_id else None
        self._send("issue-status-changed", deliveries.issue_status_changed(issue, integration), integration)

    # What is seen from outside

    def set_raw(self, integration_id: str, job_id: str, mutate: Mutation | Record | None) -> None:
        """Distort a job of Kombo's copy on the wire: keys to overwrite, or a function of the record that
        returns whatever to send in its place. None undoes it. Counts as a change of the job.
        """
        mutation = (lambda record: record | mutate) if isinstance(mutate, dict) else mutate
        with self._lock:
            self.integration(integration_id).mirror.mutate(job_id, mutation, self.clock.now())

    def kombo_jobs(self, integration_id: str) -> dict[str, Record]:
        """Kombo's copy, tombstones included, by id."""
        with self._lock:
            rows = self.integration(integration_id).mirror.rows
            return {job_id: row.record() for job_id, row in rows.items()}

    def jobs_page(self, integration_id: str, query: JobQuery, cursor: str | None, *, gzip: bool = False) -> bytes:
        """A page of jobs as a body; raises `InputInvalidError` for a bad cursor."""
        with self._lock:
            integration = self.integration(integration_id)
            return self._pages.render(
                integration, query, cursor, behaviour=self.behaviour, now=self.clock.now(), gzip=gzip
            )

    def take_fault(self, path: str, page: int, parameters: Collection[str] = ()) -> Fault | None:
        """The fault that hits a request, if any; used up by it."""
        with self._lock:
            planned = take_fault(self.faults, path, page, parameters)
            return planned or random_fault(self._rng, self.behaviour.fault_rate)

    def due_webhooks(self) -> list[Webhook]:
        """Take the webhooks that are due out of the queue, in order of delivery."""
        with self._lock:
            self.settle()
            return self._outbox.take(until=self.clock.now())

    def drain(self) -> list[Webhook]:
        """Take all webhooks out of the queue, due or not, in order of delivery."""
        with self._lock:
            self.settle()
            return self._outbox.take()

    def _send(self, event_type: str, data: Record, integration: Integration | None) -> None:
        event_id = self._new_id("event")
        webhook = Webhook(
            event_id=event_id,
            type=event_type,
            body=deliveries.compose(event_id, event_type, data, pretty=self.behaviour.webhook_pretty),
            integration_id=integration.id if integration else None,
            due_at=self.clock.now(),
        )
        self._outbox.put(webhook, self.behaviour)

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return kombo_id(self.seed, kind, self._ids)
