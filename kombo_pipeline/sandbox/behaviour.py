"""What the stand-in does where Kombo's documents are silent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Behaviour:
    """Switches of one world; every field may be changed while it serves. Rates are probabilities from 0 to 1.

    The defaults are the likeliest reading of Kombo's documentation, the alternatives are what else it allows.
    """

    updated_after_inclusive: bool = False
    """A change at exactly `updated_after` is returned; documented neither way."""
    cursors: Literal["keyset", "offset"] = "keyset"
    """`offset` counts rows, so a change between two pages can skip or repeat jobs."""
    cursor_lifetime_seconds: float | None = None
    """An older cursor is answered with 400."""
    shuffle: bool = False
    """Jobs within a page come in random order."""
    duplicate_rate: float = 0.0
    """Pages that repeat a job of an earlier page."""
    short_page_rate: float = 0.0
    """Pages shorter than asked for, possibly empty, although more follow."""
    clamp_invalid_input: bool = False
    """Correct a `page_size` outside 1..250 and read any ISO date, instead of answering 400."""
    reject_unknown_parameters: bool = False
    """Answer 400 to a parameter Kombo does not have (`included_deleted`), instead of ignoring it."""
    pending_answer: Literal["409", "503", "message-only"] = "409"
    """Reads before the first sync: today's answer, that before 2026-05-19, or the old guide's without code.
    """
    refuse_inactive: bool = False
    """Answer 409 INTEGRATION.INACTIVE for an INACTIVE or INVALID integration instead of the last good data.
    """
    anonymise_purged: bool = False
    """Tombstones older than 14 days stay with null fields instead of being removed."""
    question_edits_count: bool = True
    """Edited screening questions match `updated_after` (since 2026-07-16); False is the rule of May 2026."""
    wire_extras: bool = True
    """Records carry `integration_fields` and `remote_data` (OpenAPI of May 2026), which the SDK does not
    know.
    """
    rate_limit: int | None = 300
    """Requests a minute and key; None lifts the limit."""
    retry_after: bool = False
    """A 429 carries `Retry-After` as well."""
    latency_seconds: float = 0.0
    """Added to every answer."""
    fault_rate: float = 0.0
    """Requests hit by a random fault: HTML 502 or 503, JSON 500, dropped connection, truncated body."""
    sync_seconds: float = 40.0
    """How long a sync is said to have taken."""
    force_sync_delay_seconds: float = 0.0
    """How long a forced sync waits and runs."""
    delta_syncs: bool = True
    """The tools support delta syncs; otherwise a forced DELTA becomes FULL."""
    webhook_loss_rate: float = 0.0
    webhook_duplicate_rate: float = 0.0
    webhook_delay_seconds: float = 0.0
    """Each webhook waits a random time up to this, so that they also overtake each other."""
    webhook_bad_signature_rate: float = 0.0
    webhook_attempts: int = 1
    """Deliveries tried, one second apart, until an answer is 2xx."""
    webhook_pretty: bool = False
    """Bodies indented by two spaces instead of compact."""
