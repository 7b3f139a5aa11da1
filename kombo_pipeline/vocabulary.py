"""The closed sets of the system, each once: the codes that tables hold, and the words that people read.

Tests hold the CHECK constraints, views and functions of the warehouse equal to these sets. Chips, filters and messages
take their words from here.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Lifecycle = Literal["open", "closed", "draft", "archived", "deleted", "vanished", "integration_gone", "unknown"]
"""What has become of an ATS job (core.jobs.lifecycle)."""
LIFECYCLES: Final[Mapping[Lifecycle, str]] = {
    "open": "open",
    "closed": "closed",
    "draft": "draft",
    "archived": "archived",
    "deleted": "deleted in the ATS",
    "vanished": "vanished from the ATS",
    "integration_gone": "connection gone",
    "unknown": "unknown status",
}
GONE: Final[tuple[Lifecycle, ...]] = ("deleted", "vanished", "integration_gone")
"""Lifecycles of jobs that the ATS does not have any more."""

Source = Literal["manual", "email", "import", "multiposter"]
"""How an own job came in (core.own_jobs.source)."""
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

IdentifierMethod = Literal["kombo_id", "remote_id", "job_code", "post_url"]
"""The identifiers that may link an own job without a person, the most certain first."""
Method = Literal["kombo_id", "remote_id", "job_code", "post_url", "title", "search"]
"""How a candidate or a link was found (core.job_links.method); `search`: a person looked the ATS job up."""
METHODS: Final[Mapping[Method, str]] = {
    "kombo_id": "Kombo id",
    "remote_id": "id in the ATS",
    "job_code": "job code",
    "post_url": "address",
    "title": "title",
    "search": "search by a person",
}
IDENTIFIER_METHODS: Final[Mapping[IdentifierMethod, str]] = {
    method: METHODS[method] for method in get_args(IdentifierMethod)
}

Band = Literal["strong", "possible", "weak", "none"]
"""How likely a candidate is (core.job_match_candidates.band), the likeliest first."""
BANDS: Final[tuple[Band, ...]] = get_args(Band)
LIKELY: Final[tuple[Band, ...]] = ("strong", "possible")
"""Bands of candidates that are shown to a person first."""

Outcome = Literal["linked", "review", "candidates", "none"]
"""What matching found for an own job in an integration (core.own_job_matches.outcome)."""
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

ReviewReason = Literal["identifiers", "candidates", "reopened", "successor", "changed", "unlikely"]
"""Why a person is asked about an own job (marts.review_queue.why)."""
REVIEW_REASONS: Final[Mapping[ReviewReason, str]] = {
    "identifiers": "Identifiers collide",
    "candidates": "Like titles",
    "reopened": "Open again",
    "successor": "Posted again?",
    "changed": "Changed",
    "unlikely": "Nothing likely",
}
LINK_QUESTIONS: Final[Mapping[ReviewReason, str]] = {
    "reopened": "The ATS job is open: resume the link?",
    "successor": "Re-posted? Another ATS job is alike.",
    "changed": "Title, code or place changed: still the same?",
}
"""What a person is asked about a link that is there."""

Decision = Literal["accepted", "rejected", "no_counterpart", "unsure", "undone"]
"""A person's answer (core.link_decisions.decision)."""
DECISIONS: Final[Mapping[Decision, str]] = {
    "accepted": "Linked",
    "rejected": "Not this one",
    "no_counterpart": "No counterpart",
    "unsure": "Unsure",
    "undone": "Taken back",
}

LinkState = Literal["active", "suspended", "retired"]
"""core.job_links.state"""
LINK_STATES: Final[tuple[LinkState, ...]] = get_args(LinkState)
LinkReason = Literal[
    "closed",
    "draft",
    "archived",
    "deleted",
    "vanished",
    "integration_gone",
    "succeeded",
    "unknown",
    "withdrawn",
    "owner_in_doubt",
    "undone",
    "rejected",
    "superseded",
    "identifiers_changed",
    "customer_changed",
]
"""Why a link is suspended or retired (core.job_links.reason)."""
LINK_REASONS: Final[Mapping[LinkReason, str]] = {
    "closed": "the ATS job is closed",
    "draft": "the ATS job is a draft again",
    "archived": "the ATS job is archived",
    "deleted": "the ATS job was deleted",
    "vanished": "the ATS no longer shows the job",
    "integration_gone": "the integration was deleted, or another one took over",
    "succeeded": "another connection of the customer took over",
    "unknown": "the ATS job has no status that says open",
    "withdrawn": "the own job is withdrawn",
    "owner_in_doubt": "Kombo names another customer of the integration",
    "undone": "the answer behind it was taken back",
    "rejected": "a person said that they are not the same",
    "superseded": "another ATS job was chosen",
    "identifiers_changed": "the identifiers that made it have changed",
    "customer_changed": "the integration became another customer's",
}

NoTargetReason = Literal[
    "closed",
    "deleted",
    "vanished",
    "not_publishable",
    "exposure_ended",
    "link_ended",
    "link_suspended",
    "own_job_withdrawn",
    "connection_lost",
    "stale",
]
"""Why no application can be created for an own job (core.no_target_because)."""
NO_TARGET_REASONS: Final[Mapping[NoTargetReason, str]] = {
    "closed": "the ATS job is not open any more",
    "deleted": "the ATS job was deleted",
    "vanished": "the ATS no longer shows the job",
    "not_publishable": "the ATS job is internal, confidential or of unknown visibility",
    "exposure_ended": "the customer does not expose the ATS job",
    "link_ended": "the own job is not linked to the ATS job",
    "link_suspended": "the link is suspended until a person answers",
    "own_job_withdrawn": "the own job is withdrawn",
    "connection_lost": "the connection does not work, is switched off or is gone",
    "stale": "the data of the connection is too old",
}

Channel = Literal["picker", "paste", "manual", "customer", "link"]
"""Through what an ATS job was exposed (core.exposed_jobs.channel)."""
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)

Actor = Literal["us", "kombo", "customer"]
"""Who must act on a problem (core.integrations.who_must_act)."""
ACTORS: Final[Mapping[Actor, str]] = {
    "us": "we must act",
    "kombo": "Kombo must act",
    "customer": "the customer must act",
}
FetchState = Literal["never", "current", "waiting", "refused", "unavailable"]
"""How an integration's last fetch ended (core.integrations.fetch_state)."""
FETCH_STATES: Final[tuple[FetchState, ...]] = get_args(FetchState)
FetchKind = Literal["full", "incremental", "release"]
"""raw.fetches.kind; `release` applies records that could not be read before."""
FETCH_KINDS: Final[tuple[FetchKind, ...]] = get_args(FetchKind)
FetchStatus = Literal["running", "landed", "applied", "waiting", "refused", "unavailable", "abandoned"]
"""raw.fetches.status"""
FETCH_STATUSES: Final[tuple[FetchStatus, ...]] = get_args(FetchStatus)
Health = Literal["failing", "needs attention", "waiting", "healthy", "gone"]
"""marts.integration_health.health, the most pressing first."""
HEALTHS: Final[tuple[Health, ...]] = get_args(Health)
Work = Literal["fetch", "apply", "rematch"]
"""What a lease is about (core.leases.work)."""
WORKS: Final[tuple[Work, ...]] = get_args(Work)

HoldReason = Literal["vanished", "jobs_model_off", "details_unknown", "status_off"]
"""Why a closure of many jobs waits for a person (core.held_closures.reason)."""
HOLD_REASONS: Final[Mapping[HoldReason, str]] = {
    "vanished": "A complete fetch did not show these jobs, and Kombo never called them deleted.",
    "jobs_model_off": "Kombo reports these jobs as deleted while its jobs model is switched off or its data is out of "
    "step: rather a change of settings than of jobs.",
    "details_unknown": "Kombo reports these jobs as deleted and did not give the details of the integration, which say "
    "whether its jobs model is switched off. The next complete fetch that has them decides by itself.",
    "status_off": "These jobs lost their status all at once: rather a field that was switched off in Kombo.",
}
HoldDecision = Literal["released", "refused", "superseded"]
"""core.held_closures.decision and core.held_withdrawals.decision; `superseded`: newer data decided."""
HOLD_DECISIONS: Final[tuple[HoldDecision, ...]] = get_args(HoldDecision)
SuccessionState = Literal["proposed", "accepted", "refused", "undone"]
"""core.successions.state"""
SUCCESSION_STATES: Final[tuple[SuccessionState, ...]] = get_args(SuccessionState)

RefusalReason = Literal["wrong_signature", "no_signature", "too_large", "too_slow", "cut_off"]
"""Why the receiver refused a delivery (raw.refused_deliveries.reason)."""
REFUSAL_REASONS: Final[Mapping[RefusalReason, str]] = {
    "wrong_signature": "with a wrong signature",
    "no_signature": "without a signature",
    "too_large": "too large",
    "too_slow": "too slow",
    "cut_off": "cut off by the sender",
}

Role = Literal["viewer", "reviewer", "admin"]
"""What a user of the back office may do (core.backoffice_users.role); each may what those before it may."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)

NoticeType = Literal[
    "link.started",
    "link.suspended",
    "link.resumed",
    "link.ended",
    "target.opened",
    "target.closed",
    "exposure.started",
    "exposure.ended",
    "integration.ready",
    "integration.needs_reconnect",
    "integration.gone",
]
"""What your product is told (core.notices.type)."""
NOTICE_TYPES: Final[tuple[NoticeType, ...]] = get_args(NoticeType)
