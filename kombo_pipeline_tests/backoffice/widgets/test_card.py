"""The review card has words for every state of an own job and its link."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from kombo_pipeline import vocabulary
from kombo_pipeline.backoffice.widgets import colours
from kombo_pipeline.backoffice.widgets.card import Card, say
from kombo_pipeline.linking.statements.answers import AnsweredRow
from kombo_pipeline.linking.statements.job_links import Link
from kombo_pipeline.linking.statements.review_cards import OwnJob


def row(kind: type, **given: object) -> Any:
    """A row of which only these columns are known; all others are empty."""
    return kind(**(dict.fromkeys(field.name for field in dataclasses.fields(kind)) | given))


@pytest.mark.parametrize("reason", [None, *vocabulary.LINK_REASONS])
@pytest.mark.parametrize("why", [None, *vocabulary.REVIEW_REASONS])
def test_a_card_says_why_its_own_job_waits_whatever_suspends_the_link(why: str | None, reason: str | None) -> None:
    since = datetime(2026, 9, 1, tzinfo=UTC)
    card = Card(
        own=row(OwnJob, why=why, match_reason="the job code belongs to 2 ATS jobs"),
        link=row(Link, state="suspended" if reason else "active", reason=reason, state_since=since),
        pairs=[],
        linked=None,
        found=None,
        seen_decision_id=0,
        history=[],
    )
    words = card.why_in_words
    assert words.endswith((".", "?"))
    assert "_" not in words
    assert "None" not in words


@pytest.mark.parametrize("decision", vocabulary.DECISIONS)
def test_every_answer_is_told_in_words_and_so_is_taking_it_back(decision: str) -> None:
    given = {"own_job_id": "own", "own_seen": {"title": "Nurse"}, "kombo_job_id": "ats", "ats_seen": {"title": "Cook"}}
    assert "“Nurse”" in say([row(AnsweredRow, decision=decision, **given)])
    assert "“Nurse”" in say([row(AnsweredRow, decision="undone", took_back=decision, **given)])


def test_every_band_state_and_answer_has_the_colour_of_its_chip() -> None:
    assert tuple(colours.BANDS) == vocabulary.BANDS
    assert tuple(colours.LINK_STATES) == vocabulary.LINK_STATES
    assert tuple(colours.DECISIONS) == tuple(vocabulary.DECISIONS)
