"""Links and answers follow the jobs to the connection that takes over, by remote id, and come back when that is undone.

A person's answer stays that person's: who confirmed a link and who answered, when and by which method, is kept. Jobs
whose remote id another job of either connection shares do not follow, for a wrong link is worse than none.
"""

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import carried_decisions, carried_links


def carry_over(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Carry what the predecessor's jobs have over to the successor's, in the caller's transaction.

    A link that did not follow is left as it is, for its job to suspend it. Matching makes links by identifiers anew
    where none was carried.
    """
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    carried_links.pair_jobs(conn, **pair)
    carried_links.note_links(conn, **pair)
    carried_decisions.carry(conn, **pair, decisions=["rejected", "no_counterpart"])
    carried_decisions.retire_rejected(conn, integration_id)
    carried_links.carry_links(conn, **pair)
    carried_links.confirm_same_links(conn, **pair)
    carried_links.doubt_other_links(conn, **pair)
    carried_links.retire_carried(conn, **pair)
    carried_decisions.carry(conn, **pair, decisions=["accepted"])
    carried_links.carry_exposures(conn, **pair)
    carried_links.match_again(conn, integration_id)


def take_back(conn: Connection, *, integration_id: str, predecessor_id: str, undone_by: str) -> None:
    """End what was carried over and put the predecessor's links back as they were, in the caller's transaction.

    The caller lets the links of both follow their jobs afterwards. What the customer exposed stays exposed.
    """
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    carried_links.retire_successors(conn, **pair)
    carried_decisions.undo(conn, **pair, undone_by=undone_by)
    carried_links.restore_links(conn, **pair)
    carried_links.match_again(conn, integration_id)
    carried_links.match_again(conn, predecessor_id)
