"""Links and answers follow the jobs, by remote id, to a connection that takes over, and return when that is undone.

Who confirmed a link, and who answered, when and by which method, stays as it was. Where another job of either
connection has the same remote id, nothing follows: a wrong link is worse than none.
"""

from kombo_pipeline.db.connection import Connection
from kombo_pipeline.linking.statements import carried_decisions, carried_links


def carry_over(conn: Connection, *, integration_id: str, predecessor_id: str) -> None:
    """Carry links, answers and exposures over to the successor's jobs, in the caller's transaction.

    A link that does not follow stays as it is, and is suspended when the caller marks the predecessor's jobs as gone.
    Where no link was carried, the next matching may make one by an identifier.
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
    """End what was carried over and restore the predecessor's links, in the caller's transaction.

    Afterwards the caller lets the links of both connections follow their jobs. Exposed jobs stay exposed.
    """
    pair = {"integration_id": integration_id, "predecessor_id": predecessor_id}
    carried_links.retire_successors(conn, **pair)
    carried_decisions.undo(conn, **pair, undone_by=undone_by)
    carried_links.restore_links(conn, **pair)
    carried_links.match_again(conn, integration_id)
    carried_links.match_again(conn, predecessor_id)
