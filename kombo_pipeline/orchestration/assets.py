"""raw_job_pages -> jobs -> job_match_candidates, one partition an integration, and own_jobs beside them.

Each is a transaction and what to show of it.
"""

import time
from datetime import timedelta
from typing import Any

import dagster as dg

from kombo_pipeline import settings
from kombo_pipeline.db import leases
from kombo_pipeline.db.connection import Connection
from kombo_pipeline.ingest.apply import Applied, apply_landed_fetches
from kombo_pipeline.ingest.fetch import Landed, land_fetch
from kombo_pipeline.ingest.statements import fetches
from kombo_pipeline.ingest.statements import integrations as integration_tables
from kombo_pipeline.ingest.statements import jobs as job_tables
from kombo_pipeline.ingest.statements.forgotten import ForgottenError
from kombo_pipeline.kombo.errors import KomboError, KomboRefused
from kombo_pipeline.linking.statements import match_candidates
from kombo_pipeline.orchestration import in_work
from kombo_pipeline.orchestration.metadata import by_confidence, column_schema, kombo_log, moment, table
from kombo_pipeline.orchestration.resources import KomboApi, Warehouse
from kombo_pipeline.own_jobs import statements as own_job_tables
from kombo_pipeline.vocabulary import BANDS, IDENTIFIER_METHODS

integration = dg.DynamicPartitionsDefinition(name="integration")

# What is said of all integrations together is said here: no run materializes it, so that what its check found stays
# to be seen, and no run of one integration pays for that check.
integrations = dg.AssetSpec(
    "integrations",
    description="Every customer's connection, in core.integrations. Its check says whether all copies are fresh.",
    group_name="kombo_pipeline",
    kinds={"postgres"},
)

# For what nobody foresaw, such as a database that restarts. Kombo's outages are waited for in the client
# (seconds) and by the poll (minutes, hours): a run that waits keeps its slot from other integrations.
_RETRIES = dg.RetryPolicy(max_retries=1, delay=10, jitter=dg.Jitter.PLUS_MINUS)


class FetchConfig(dg.Config):
    """How to fetch."""

    full: bool = False
    """Fetch every job, not only those that changed since the watermark."""


@dg.asset(partitions_def=integration, group_name="kombo_pipeline", kinds={"kombo", "postgres"}, retry_policy=_RETRIES)
def raw_job_pages(
    context: dg.AssetExecutionContext, config: FetchConfig, warehouse: Warehouse, kombo: KomboApi
) -> dg.MaterializeResult[None]:
    """Pages of Kombo's GET /ats/jobs as received: all jobs the first time, then what changed since the watermark."""
    started = time.monotonic()
    overlap = timedelta(seconds=settings.load().overlap_seconds)
    with warehouse.connect() as conn, kombo.client() as client:
        try:
            landed = land_fetch(
                conn,
                client,
                context.partition_key,
                overlap=overlap,
                full=config.full,
                dagster_run_id=context.op_execution_context.run_id,
                ended_run=in_work.ended_run(context, conn, "fetch"),
            )
        except KomboError as error:
            # The client has repeated what may pass; the poll asks again, later still where a person must act.
            raise dg.Failure(_what_to_do(error), metadata=kombo_log(error.log_url), allow_retries=False) from error
        except ForgottenError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except leases.LeaseTakenError as error:
            raise in_work.ask_again(context, error) from error
        state = integration_tables.get(conn, context.partition_key)
    assert state is not None
    if landed.status == "waiting":
        context.log.info("Waiting for the first sync: %s", landed.why)
    if landed.details_error:
        context.log.warning("%s The jobs were fetched all the same.", landed.details_error)
    return dg.MaterializeResult(
        metadata={
            "status": landed.status,
            "fetch": landed.kind or "none",
            "why": landed.why,
            "watermark_before": moment(state.kombo_last_sync_started_at),
            "updated_after": moment(landed.updated_after),
            "pages": landed.pages,
            "records": landed.records,
            "seconds": round(time.monotonic() - started, 3),
            "organization": state.organization_name or "unknown",
            **kombo_log(landed.log_url or state.last_sync_log_url),
            **({"details": landed.details_error} if landed.details_error else {}),
            **_fetch_id(landed),
            "dagster/table_name": "raw.job_pages",
        }
    )


@dg.asset(
    deps=[raw_job_pages],
    partitions_def=integration,
    group_name="kombo_pipeline",
    kinds={"postgres"},
    retry_policy=_RETRIES,
)
def jobs(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """The customer's jobs, current and typed, with their history: every landed fetch, applied in one transaction."""
    started = time.monotonic()
    integration_id = context.partition_key
    with warehouse.connect() as conn:
        before = integration_tables.get(conn, integration_id)
        conn.commit()
        try:
            with in_work.hold(context, conn, "apply") as lease, conn.transaction():
                leases.limit_idle_time(conn)
                applied = apply_landed_fetches(conn, integration_id)
                lease.confirm(conn)
        except leases.LeaseTakenError as error:
            raise in_work.ask_again(context, error) from error
        after = integration_tables.get(conn, integration_id)
        metadata = {
            **_counts(applied),
            "watermark_before": moment(before.kombo_last_sync_started_at if before else None),
            "watermark_after": moment(after.kombo_last_sync_started_at if after else None),
            "open_jobs": job_tables.open_job_count(conn, integration_id),
            "dagster/partition_row_count": job_tables.job_count(conn, integration_id),
            "dagster/table_name": "core.jobs",
            "dagster/column_schema": column_schema(conn, "core", "jobs"),
            "changes": _changes(conn, applied),
            "seconds": round(time.monotonic() - started, 3),
            **kombo_log(after.last_sync_log_url if after else None),
        }
    for note in [note for each in applied for note in each.notes]:
        context.log.warning(note)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="kombo_pipeline", kinds={"postgres"})
def own_jobs(warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Jobs of your own database, however they came: by SQL, import, multiposter or hand. Shows what there is."""
    with warehouse.connect() as conn:
        return dg.MaterializeResult(metadata=own_jobs_metadata(conn))


def own_jobs_metadata(conn: Connection) -> dict[str, Any]:
    """Return what a materialization of own_jobs shows."""
    counts = own_job_tables.counts(conn)
    columns = ("customer_id", "list", "source", "own_jobs", "withdrawn", "held", "newest_import")
    return {
        "dagster/row_count": sum(row.own_jobs + row.withdrawn for row in counts),
        "dagster/table_name": "core.own_jobs",
        "dagster/column_schema": column_schema(conn, "core", "own_jobs"),
        "customers": len({row.customer_id for row in counts}),
        "held": sum(row.held for row in counts),
        "by_customer_and_source": table([row._asdict() for row in counts[:100]], columns),
    }


@dg.asset(
    deps=[jobs, own_jobs],
    partitions_def=integration,
    group_name="kombo_pipeline",
    kinds={"postgres"},
    retry_policy=_RETRIES,
)
def job_match_candidates(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Which ATS job each own job of the customer is: linked where an identifier decides, else the likeliest five."""
    # Half a CPU-second of numpy and scipy that the code server and other runs do without.
    from kombo_pipeline.linking.candidates import Matched, match_integration  # noqa: PLC0415

    started = time.monotonic()
    integration_id = context.partition_key
    with warehouse.connect() as conn:
        try:
            with in_work.hold(context, conn, "rematch") as lease, conn.transaction():
                leases.limit_idle_time(conn)
                matched = match_integration(conn, integration_id)
                lease.confirm(conn)
        except leases.LeaseTakenError as error:
            # What it does not see any more is matched by the next run: own_jobs_sensor asks for it.
            matched = Matched(why=f"matched elsewhere: {error}")
        summary = match_candidates.summary(conn, integration_id)
        bands = {f"candidates_{name}": summary.bands.get(name, 0) for name in BANDS if name != "none"}
        examples = match_candidates.examples(conn, integration_id, limit=12)
        metadata: dict[str, Any] = {
            "status": matched.why or "matched",
            "own_jobs": summary.own_jobs,
            "own_jobs_scored": matched.scored,
            "ats_jobs_changed": matched.ats_jobs_changed,
            "pairs_scored": matched.pairs,
            **{f"linked_now_by_{method}": matched.linked[method] for method in IDENTIFIER_METHODS},
            **{f"links_{state}": summary.links.get(state, 0) for state in ("active", "suspended")},
            **bands,
            "without_counterpart": summary.outcomes.get("none", 0),
            "waiting_for_review": summary.waiting,
            "confidence": by_confidence(summary.confidences),
            "examples": table(examples, ("own_title", "ats_title", "confidence", "band", "method", "why")),
            "dagster/partition_row_count": summary.candidates,
            "dagster/table_name": "core.job_match_candidates",
            "dagster/column_schema": column_schema(conn, "core", "job_match_candidates"),
            "seconds": round(time.monotonic() - started, 3),
        }
    if matched.why:
        context.log.warning("Nothing was matched: %s", matched.why)
    return dg.MaterializeResult(metadata=metadata)


def _what_to_do(error: KomboError) -> str:
    if isinstance(error, KomboRefused):
        return f"Refused: {error}. Who must act: {error.who_must_act}."
    return f"Unavailable: {error}. The poll asks again in some minutes."


def _counts(applied: list[Applied]) -> dict[str, Any]:
    names = (*fetches.APPLIED_COUNTS, "held")
    counts: dict[str, Any] = {name: sum(getattr(each, name) for each in applied) for name in names}
    counts["fetches_applied"] = ", ".join(f"{each.fetch_id} ({each.kind})" for each in applied) or "none"
    if notes := [note for each in applied for note in each.notes]:
        counts["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in notes))
    return counts


def _changes(conn: Connection, applied: list[Applied]) -> dg.MetadataValue:
    rows = [row for each in applied for row in job_tables.changes_of(conn, each.fetch_id, limit=20)][:20]
    return table(rows, ("kombo_job_id", "name", "event", "field", "old_value", "new_value"))


def _fetch_id(landed: Landed) -> dict[str, int]:
    return {"fetch_id": landed.fetch_id} if landed.fetch_id is not None else {}
