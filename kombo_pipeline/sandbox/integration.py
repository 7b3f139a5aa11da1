"""A customer's connection: the ATS behind it, Kombo's copy of it, and its state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from kombo_pipeline.sandbox import words
from kombo_pipeline.sandbox.ats import Ats
from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.mirror import Mirror
from kombo_pipeline.sandbox.records import Content, Record, kombo_id

SyncKind = Literal["FULL", "DELTA"]
COPYING_STATES: Final = {"SUCCEEDED", "PARTIALLY_FAILED"}
"""The sync states after which Kombo's copy has moved (Kombo docs)."""

JOB_FIELDS: Final = (
    "remote_id", "name", "job_code", "description", "employment_type", "status", "visibility",
    "department", "post_url",
    "location", "remote_created_at", "stages", "screening_questions", "job_postings", "hiring_team",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """A sync that ended, in whatever state."""

    sync_id: str
    state: str
    kind: SyncKind
    started_at: datetime
    ended_at: datetime
    changed_models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueuedSync:
    """A sync that ends at `due` unless the integration is switched off before."""

    sync_id: str
    due: datetime


@dataclass(slots=True, kw_only=True)
class Integration:
    """One integration with both of its layers. `unsupported` fields are null in Kombo's copy and cannot be
    filtered.
    """

    id: str
    tool: str
    organization: str
    origin_id: str | None
    created_at: datetime
    ats: Ats
    mirror: Mirror = field(default_factory=Mirror)
    unsupported: frozenset[str] = frozenset()
    state: str = "ACTIVE"
    setup_status: str = "FINAL_SYNC_PENDING"
    qa_status: str = "PENDING"
    synced: bool = False
    jobs_model_enabled: bool = True
    data_expired_at: datetime | None = None
    deleted_at: datetime | None = None
    queued: dict[SyncKind, QueuedSync] = field(default_factory=dict)
    last_sync: Sync | None = None

    @property
    def end_user(self) -> Record:
        """The customer, as webhooks and details name them."""
        email = f"admin@{self.id.rpartition(':')[2].lower()}.example.com"
        return {"organization_name": self.organization, "creator_email": email, "origin_id": self.origin_id}

    def blocked_by(self) -> str | None:
        """The code that answers reads while there is no data to show, None once there is."""
        if self.setup_status == "INCOMPLETE":
            return "INTEGRATION.SETUP_INCOMPLETE"
        if self.qa_status == "FAILED":
            return "INTEGRATION.QA_FAILED"
        return None if self.synced else "INTEGRATION.SETUP_SYNC_PENDING"

    def copy(
        self,
        now: datetime,
        *,
        question_edits_count: bool,
        deletions: bool,
        picked: Callable[[str], bool],
    ) -> set[str]:
        """Bring `picked` jobs, of those touched in the ATS, into Kombo's copy; returns the changed models'
        names.

        Only a full sync sees `deletions`; with the jobs model off, it finds every job gone (Kombo docs).
        """
        changed: set[str] = set()
        if not self.jobs_model_enabled:
            return changed.union(*(self.mirror.bury(job_id, now) for job_id in self.mirror.rows))
        for job_id in sorted(filter(picked, self.ats.touched)):
            content = self.ats.jobs.get(job_id)
            if content is not None:
                seen = self._as_supported(content)
                changed |= self.mirror.absorb(job_id, seen, now, question_edits_count=question_edits_count)
            elif deletions:
                changed |= self.mirror.bury(job_id, now)
            else:
                continue
            self.ats.touched.discard(job_id)
        return changed

    def details(self) -> Record:
        """`data` of `GET /integrations/{id}`."""
        return {
            "id": self.id,
            "tool": {
                "id": self.tool,
                "label": words.TOOLS.get(self.tool, self.tool),
                "internal_label": None,
                "logo_url": f"https://assets.example.com/{self.tool}/logo.svg",
                "icon_url": f"https://assets.example.com/{self.tool}/icon.svg",
            },
            "category": "ATS",
            "status": self.state,
            "setup_status": self.setup_status,
            "end_user": self.end_user,
            "scope_config": {"id": kombo_id(self.id, "scope"), "name": "Default"},
            "data_expired_at": stamp(self.data_expired_at) if self.data_expired_at else None,
            "created_at": stamp(self.created_at),
            "beta": False,
            "read_models": [
                {"id": "ats_jobs", "label": "Jobs"}
                | self._coverage(supported=True)
                | {"fields": [{"id": f} | self._coverage(supported=f not in self.unsupported) for f in JOB_FIELDS]}
            ],
            "write_actions": [],
        }

    def _coverage(self, *, supported: bool) -> dict[str, Any]:
        return {
            "is_available": supported and self.jobs_model_enabled,
            "coverage_status": "SUPPORTED" if supported else "UNSUPPORTED",
            "scope_config_setting": "ENABLED" if self.jobs_model_enabled else "DISABLED",
            "opted_out_by_customer": False,
        }

    def _as_supported(self, content: Content) -> Content:
        if not self.unsupported:
            return content
        own: Record = msgspec.json.decode(content.own)
        own |= dict.fromkeys(own.keys() & self.unsupported)
        return content._replace(own=msgspec.json.encode(own))
