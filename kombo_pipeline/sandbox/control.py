"""A small control API under `/sandbox`, for people and other processes. JSON in, JSON out, no key.

    GET  /sandbox                                            integrations, their counts and states, the clock
    POST /sandbox/integrations                               {tool, organization, jobs, synced...} -> {id}
    POST /sandbox/integrations/{id}/sync                     {state, kind}
    POST /sandbox/integrations/{id}/jobs                     fields of the job -> {job_id}
    POST /sandbox/integrations/{id}/jobs/{job_id}/{action}   close, archive, open, edit (fields), delete,
                                                             restore, repost, event (Kombo copies it at once)
                                                             -> {job_id}
    GET  /sandbox/integrations/{id}/own-jobs                 the customer's jobs in the product that advertises
                                                             them: an XML job feed
    POST /sandbox/clock                                      {advance_seconds}
    POST /sandbox/live                                       {action: pause or resume}

What is changed in the ATS shows through Kombo after the next sync or event. Mistakes are answered with 400
and {error}.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kombo_pipeline.sandbox.clock import stamp
from kombo_pipeline.sandbox.job_feed import job_feed, own_jobs
from kombo_pipeline.sandbox.life import Life
from kombo_pipeline.sandbox.world import World

Command = Callable[[dict[str, str], dict[str, Any]], dict[str, Any]]


def control_routes(world: World, life: Life | None = None) -> list[Route]:
    """The routes under `/sandbox`."""

    def overview(_path: dict[str, str], _body: dict[str, Any]) -> dict[str, Any]:
        found = [world.integration(integration_id) for integration_id in world.integrations()]
        return {
            "now": stamp(world.clock.now()),
            "live": life is not None and life.active,
            "integrations": [
                {
                    "id": integration.id,
                    "organization": integration.organization,
                    "state": integration.state,
                    "synced": integration.synced,
                    "ats_jobs": len(integration.ats.jobs),
                    "kombo_jobs": len(integration.mirror.rows),
                    "not_yet_copied": len(integration.ats.touched),
                    "last_sync": integration.last_sync.state if integration.last_sync else None,
                }
                for integration in found
            ],
        }

    def connect(_path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        return {"id": world.add_integration(**body)}

    def sync(path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        done = world.sync(path["integration_id"], body.get("state", "SUCCEEDED"), kind=body.get("kind", "FULL"))
        return {"sync_id": done.sync_id, "state": done.state, "changed_models": list(done.changed_models)}

    def open_job(path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        return {"job_id": world.open_job(path["integration_id"], **body)}

    def change_job(path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        integration_id, job_id, action = path["integration_id"], path["job_id"], path["action"]
        statuses = {"close": "CLOSED", "archive": "ARCHIVED", "open": "OPEN"}
        actions: dict[str, Callable[[str, str], Any]] = {
            "delete": world.delete_job,
            "restore": world.restore_job,
            "repost": world.repost_job,
            "event": world.upstream_event,
        }
        if action in statuses:
            world.set_status(integration_id, job_id, statuses[action])
        elif action == "edit":
            world.edit_job(integration_id, job_id, **body)
        elif action in actions:
            job_id = actions[action](integration_id, job_id) or job_id
        else:
            raise ValueError(f"{action} is none of {', '.join([*statuses, 'edit', *actions])}")
        return {"job_id": job_id}

    # Not async: in a thread, so that a large customer's list does not keep Kombo's answers waiting.
    def own_jobs_feed(request: Request) -> Response:
        integration_id = request.path_params["integration_id"]
        try:
            publisher = world.integration(integration_id).organization
            return Response(job_feed(own_jobs(world, integration_id), publisher=publisher), media_type="text/xml")
        except KeyError as error:
            return _unknown(error)

    def advance(_path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        world.clock.advance(timedelta(seconds=body["advance_seconds"]))
        world.settle()
        return {"now": stamp(world.clock.now())}

    def live(_path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if life is None or body["action"] not in ("pause", "resume"):
            raise ValueError("pause or resume a sandbox that was started live")
        life.active = body["action"] == "resume"
        return {"live": life.active}

    integration = "/sandbox/integrations/{integration_id}"
    return [
        Route("/sandbox", _endpoint(overview)),
        Route("/sandbox/integrations", _endpoint(connect), methods=["POST"]),
        Route(f"{integration}/sync", _endpoint(sync), methods=["POST"]),
        Route(f"{integration}/own-jobs", own_jobs_feed),
        Route(f"{integration}/jobs", _endpoint(open_job), methods=["POST"]),
        Route(f"{integration}/jobs/{{job_id}}/{{action}}", _endpoint(change_job), methods=["POST"]),
        Route("/sandbox/clock", _endpoint(advance), methods=["POST"]),
        Route("/sandbox/live", _endpoint(live), methods=["POST"]),
    ]


def _unknown(error: KeyError) -> Response:
    return JSONResponse({"error": f"there is no {error.args[0]}"}, 400)


def _endpoint(command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
            return JSONResponse(command(request.path_params, body))
        except KeyError as error:
            return _unknown(error)
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint
