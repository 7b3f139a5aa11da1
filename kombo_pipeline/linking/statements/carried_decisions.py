"""Statements on core.carried_decisions: answers that follow the jobs to another connection, and back.

They read the temporary table `paired_jobs`, which carried_links.pair_jobs fills.
"""

from collections.abc import Sequence
from typing import Final

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.vocabulary import Decision

_CARRY: Final = """
with source as (
    select
        d.*,
        p.to_id,
        md5(concat_ws(' ', d.answer_id, %(integration)s::text, now()))::uuid as new_answer_id,
        d.on_screen || case
            when jsonb_typeof(d.on_screen -> 'candidates') = 'array' then jsonb_build_object('candidates', (
                select coalesce(jsonb_agg(
                    case
                        when q.to_id is null then c
                        else c || jsonb_build_object('kombo_job_id', q.to_id)
                    end
                    order by place
                ), '[]')
                from jsonb_array_elements(d.on_screen -> 'candidates') with ordinality as shown (c, place)
                left join paired_jobs q on q.from_id = c ->> 'kombo_job_id'
            ))
            else '{}'
        end as new_screen
    from marts.link_decisions d
    left join paired_jobs p on p.from_id = d.kombo_job_id
    where d.integration_id = %(predecessor)s
        and d.stands
        and d.decision = any(%(decisions)s)
        and case d.decision
            when 'accepted' then exists (
                select
                from core.carried_links c
                join core.job_links x on x.link_id = c.to_link_id
                where x.integration_id = %(integration)s
                    and x.customer_id = d.customer_id
                    and x.own_job_id = d.own_job_id
                    and x.kombo_job_id = p.to_id
                    and x.state <> 'retired'
                    and c.taken_back_at is null
            )
            when 'rejected' then p.titles_agree
            else true
        end
        and not exists (
            select
            from marts.link_decisions e
            where e.integration_id = %(integration)s
                and e.customer_id = d.customer_id
                and e.own_job_id = d.own_job_id
                and e.stands
                and (
                    e.decision = d.decision and e.kombo_job_id is not distinct from p.to_id
                    or e.decision = 'accepted' and (e.kombo_job_id = p.to_id or d.kombo_job_id is null)
                )
        )
),
made as (
    insert into core.link_decisions (
        answer_id, customer_id, own_job_id, integration_id, kombo_job_id, decision, method, decided_by,
        decided_at, note, own_seen, ats_seen, on_screen, matcher_version
    )
    select
        new_answer_id,
        customer_id,
        own_job_id,
        %(integration)s,
        to_id,
        decision,
        method,
        decided_by,
        decided_at,
        concat_ws('; ', note, 'carried over from ' || %(predecessor)s::text),
        own_seen,
        ats_seen,
        new_screen,
        matcher_version
    from source
    order by decision_id
    returning decision_id, answer_id, kombo_job_id, decision
)
insert into core.carried_decisions (decision_id, carried_from)
select made.decision_id, source.decision_id
from made
join source
    on source.new_answer_id = made.answer_id
    and source.to_id is not distinct from made.kombo_job_id
    and source.decision = made.decision
"""


def carry(conn: Connection, *, integration_id: str, predecessor_id: str, decisions: Sequence[Decision]) -> None:
    """Repeat the standing answers of these kinds for the successor's jobs, with the same person, time and screen.

    An accepted pair is repeated only where its link was carried over. An answer that was given in the successor itself
    about the same jobs is not overruled.
    """
    conn.execute(
        _CARRY,
        {"integration": integration_id, "predecessor": predecessor_id, "decisions": list(decisions)},
    )


def retire_rejected(conn: Connection, integration_id: str) -> None:
    """End the links by identifier that a person has rejected."""
    conn.execute(
        """
        update core.job_links l
        set state = 'retired', reason = 'rejected', state_since = now()
        where l.integration_id = %(integration)s
            and l.state <> 'retired'
            and l.confirmed_by is null
            and exists (
                select
                from marts.link_decisions d
                where d.integration_id = %(integration)s
                    and d.customer_id = l.customer_id
                    and d.own_job_id = l.own_job_id
                    and d.kombo_job_id = l.kombo_job_id
                    and d.decision = 'rejected'
                    and d.stands
            )
        """,
        {"integration": integration_id},
    )


def undo(conn: Connection, *, integration_id: str, predecessor_id: str, undone_by: str) -> None:
    """Take back the answers that were carried over; the predecessor's own answers stay as they are."""
    conn.execute(
        """
        insert into core.link_decisions (
            answer_id, customer_id, own_job_id, integration_id, kombo_job_id, decision, undoes, decided_by, own_seen,
            ats_seen
        )
        select
            md5(concat_ws(' ', d.answer_id, 'undone', now()))::uuid,
            d.customer_id,
            d.own_job_id,
            d.integration_id,
            d.kombo_job_id,
            'undone',
            d.decision_id,
            %(by)s,
            d.own_seen,
            d.ats_seen
        from core.carried_decisions c
        join core.link_decisions d using (decision_id)
        join core.link_decisions f on f.decision_id = c.carried_from
        where d.integration_id = %(integration)s
            and f.integration_id = %(predecessor)s
            and not exists (select from core.link_decisions u where u.undoes = d.decision_id)
        order by d.decision_id
        """,
        {"integration": integration_id, "predecessor": predecessor_id, "by": undone_by},
    )
