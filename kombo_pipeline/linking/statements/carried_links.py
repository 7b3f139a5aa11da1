"""Statements on core.carried_links: links and exposures that follow the jobs to another connection, and back.

A carried link is active only if the old one was and core.suspended_by says that the new one may be.
"""

from typing import Final

from kombo_pipeline.db.connection import Connection

_CARRY: Final = """
with old as (
    select
        l.link_id, l.customer_id, l.own_job_id, l.method, l.confirmed_by, l.created_at, l.matcher_version,
        l.own_seen, l.ats_seen, l.reason,
        p.to_id,
        p.titles_agree,
        l.state = 'active' or l.reason = 'integration_gone' and exists (
            select
            from core.job_changes c
            where c.integration_id = l.integration_id
                and c.kombo_job_id = l.kombo_job_id
                and c.field = 'lifecycle'
                and c.old_value = '"open"'
                and c.new_value = '"integration_gone"'
                and c.observed_at = l.state_since
        ) as was_active
    from core.job_links l
    join paired_jobs p on p.from_id = l.kombo_job_id
    where l.integration_id = %(predecessor)s
        and l.state <> 'retired'
        and (p.titles_agree or l.confirmed_by is not null)
        and not exists (
            select
            from core.job_links x
            where x.customer_id = l.customer_id
                and x.own_job_id = l.own_job_id
                and x.integration_id = %(integration)s
                and x.state <> 'retired'
        )
        and not exists (
            select
            from marts.link_decisions d
            where d.customer_id = l.customer_id
                and d.own_job_id = l.own_job_id
                and d.integration_id = %(integration)s
                and d.kombo_job_id = p.to_id
                and d.decision = 'rejected'
                and d.stands
        )
),
new as (
    select
        old.*,
        case
            when j.lifecycle <> 'open' then j.lifecycle
            when not old.titles_agree then 'succeeded'
            when not old.was_active then old.reason
            else core.suspended_by(j, i, o)
        end as suspended_by
    from old
    join core.own_jobs o using (customer_id, own_job_id)
    join core.integrations i on i.integration_id = %(integration)s
    join core.jobs j on j.integration_id = i.integration_id and j.kombo_job_id = old.to_id
),
made as (
    insert into core.job_links (
        customer_id, own_job_id, integration_id, kombo_job_id, method, confirmed_by, created_at,
        matcher_version, own_seen, ats_seen, state, reason
    )
    select
        customer_id, own_job_id, %(integration)s, to_id, method, confirmed_by, created_at,
        matcher_version, own_seen, ats_seen,
        case when suspended_by is null then 'active' else 'suspended' end,
        suspended_by
    from new
    order by link_id
    returning link_id, own_job_id
)
update core.carried_links c
set to_link_id = made.link_id
from made
join old using (own_job_id)
where c.from_link_id = old.link_id and c.taken_back_at is null
"""


def pair_jobs(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Fill the temporary table `paired_jobs` with the jobs of both connections that alone share a remote id."""
    conn.execute("drop table if exists paired_jobs")
    conn.execute(
        """
        create temporary table paired_jobs on commit drop as
        with jobs as (
            select
                j.integration_id,
                j.kombo_job_id,
                nullif(btrim(j.remote_id), '') as remote_id,
                lower(btrim(regexp_replace(coalesce(j.name, ''), '\\s+', ' ', 'g'))) as title,
                j.lifecycle,
                j.remote_deleted_at is null and j.vanished_at is null as is_there,
                count(*) over (partition by j.integration_id, btrim(j.remote_id)) as sharing
            from core.jobs j
            where j.integration_id in (%(integration)s, %(predecessor)s)
        )
        select
            old.kombo_job_id as from_id,
            new.kombo_job_id as to_id,
            new.lifecycle,
            old.title = new.title and old.title <> '' as titles_agree
        from jobs old
        join jobs new using (remote_id)
        where old.integration_id = %(predecessor)s
            and new.integration_id = %(integration)s
            and old.sharing = 1
            and new.sharing = 1
            and old.is_there
            and new.is_there
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def note_links(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Note every link of the predecessor that is not retired, as it is before anything changes."""
    conn.execute(
        """
        insert into core.carried_links (from_link_id, integration_id, predecessor_id, state_before, reason_before)
        select l.link_id, %(integration)s, %(predecessor)s, l.state, l.reason
        from core.job_links l
        where l.integration_id = %(predecessor)s and l.state <> 'retired'
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def carry_links(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Link own jobs to the successor's jobs as they were linked to the predecessor's jobs.

    A link that was active, or was active until the predecessor was deleted, is active again if it may be. When the
    titles of the two ATS jobs differ, a link that a person confirmed is suspended until a person looks at it, and a
    link by an identifier is not carried over. An own job that has a link in the successor already gets no other one.
    """
    conn.execute(
        _CARRY,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def confirm_same_links(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Note who confirmed the old link on links that an identifier made to the same job in the successor."""
    conn.execute(
        """
        with confirmed as (
            update core.job_links x
            set confirmed_by = l.confirmed_by, own_seen = l.own_seen, ats_seen = l.ats_seen
            from core.job_links l
            join paired_jobs p on p.from_id = l.kombo_job_id
            where l.integration_id = %(predecessor)s
                and l.state <> 'retired'
                and l.confirmed_by is not null
                and x.integration_id = %(integration)s
                and x.customer_id = l.customer_id
                and x.own_job_id = l.own_job_id
                and x.kombo_job_id = p.to_id
                and x.state <> 'retired'
                and x.confirmed_by is null
            returning x.link_id as to_link_id, l.link_id as from_link_id
        )
        update core.carried_links c
        set to_link_id = confirmed.to_link_id
        from confirmed
        where c.from_link_id = confirmed.from_link_id and c.taken_back_at is null
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def doubt_other_links(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Have a person asked about links by identifier in the successor where a person had confirmed another job."""
    conn.execute(
        """
        update core.job_links x
        set ats_seen = '{}'
        from core.job_links l
        join paired_jobs p on p.from_id = l.kombo_job_id
        where l.integration_id = %(predecessor)s
            and l.state <> 'retired'
            and l.confirmed_by is not null
            and x.integration_id = %(integration)s
            and x.customer_id = l.customer_id
            and x.own_job_id = l.own_job_id
            and x.kombo_job_id <> p.to_id
            and x.state <> 'retired'
            and x.confirmed_by is null
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def retire_carried(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """End the predecessor's links that have a link in the successor."""
    conn.execute(
        """
        update core.job_links l
        set state = 'retired', reason = 'succeeded', state_since = now()
        from paired_jobs p
        where l.integration_id = %(predecessor)s
            and l.state <> 'retired'
            and p.from_id = l.kombo_job_id
            and exists (
                select
                from core.job_links x
                where x.integration_id = %(integration)s
                    and x.customer_id = l.customer_id
                    and x.own_job_id = l.own_job_id
                    and x.kombo_job_id = p.to_id
                    and x.state <> 'retired'
            )
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def carry_exposures(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Repeat the newest choice for each job, exposed or not, where the successor's job has none yet."""
    conn.execute(
        """
        insert into core.exposed_jobs
            (integration_id, kombo_job_id, exposed_from, exposed_until, exposed_by, channel, ended_by)
        select distinct on (p.to_id)
            %(integration)s,
            p.to_id,
            case when e.exposed_until is null then now() else e.exposed_from end,
            e.exposed_until,
            e.exposed_by,
            e.channel,
            e.ended_by
        from core.exposed_jobs e
        join paired_jobs p on p.from_id = e.kombo_job_id
        where e.integration_id = %(predecessor)s
            and p.titles_agree
            and not exists (
                select
                from core.exposed_jobs x
                where x.integration_id = %(integration)s and x.kombo_job_id = p.to_id
            )
        order by p.to_id, e.exposure_id desc
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def match_again(conn: Connection, integration_id: str) -> None:
    """Have every own job matched again whose link or answer was carried to or from the integration."""
    conn.execute(
        """
        update core.own_job_matches m
        set own_hash = ''
        where m.integration_id = %(integration)s
            and (
                exists (
                    select
                    from core.job_links l
                    join core.carried_links c on l.link_id in (c.from_link_id, c.to_link_id)
                    where l.customer_id = m.customer_id
                        and l.own_job_id = m.own_job_id
                        and l.integration_id = m.integration_id
                )
                or exists (
                    select
                    from core.link_decisions d
                    join core.carried_decisions c on d.decision_id in (c.decision_id, c.carried_from)
                    where d.customer_id = m.customer_id
                        and d.own_job_id = m.own_job_id
                        and d.integration_id = m.integration_id
                )
            )
        """,
        {"integration": integration_id},
    )


def retire_successors(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """End the links that were carried over from the predecessor."""
    conn.execute(
        """
        update core.job_links l
        set state = 'retired', reason = 'undone', state_since = now()
        from core.carried_links c
        where c.integration_id = %(integration)s
            and c.predecessor_id = %(predecessor)s
            and c.taken_back_at is null
            and l.link_id = c.to_link_id
            and l.state <> 'retired'
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )


def restore_links(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Restore the predecessor's links as they were noted; a link that ended for another reason meanwhile stays ended.

    The caller lets them follow their jobs: a link that cannot be active now is suspended again.
    """
    conn.execute(
        """
        update core.job_links l
        set state = c.state_before, reason = c.reason_before, state_since = now()
        from core.carried_links c
        join core.integrations i on i.integration_id = c.predecessor_id
        where c.integration_id = %(integration)s
            and c.predecessor_id = %(predecessor)s
            and c.taken_back_at is null
            and l.link_id = c.from_link_id
            and l.customer_id = i.customer_id
            and l.reason in ('succeeded', 'integration_gone')
            and (l.state, l.reason) is distinct from (c.state_before, c.reason_before)
            and not exists (
                select
                from core.job_links x
                where x.customer_id = l.customer_id
                    and x.own_job_id = l.own_job_id
                    and x.integration_id = l.integration_id
                    and x.state <> 'retired'
                    and x.link_id <> l.link_id
            )
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )
    conn.execute(
        """
        update core.carried_links
        set taken_back_at = now()
        where integration_id = %(integration)s and predecessor_id = %(predecessor)s and taken_back_at is null
        """,
        {"integration": integration_id, "predecessor": predecessor_id},
    )
