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
    """The routes under `/sandbox`; `life` is what pauses and resumes, if the sandbox was started live."""
    control = _Control(world, life)
    integration = "/sandbox/integrations/{integration_id}"
    return [
        Route("/sandbox", _endpoint(control.overview)),
        Route("/sandbox/integrations", _endpoint(control.connect), methods=["POST"]),
        Route(f"{integration}/sync", _endpoint(control.sync), methods=["POST"]),
        Route(f"{integration}/own-jobs", control.own_jobs_feed),
        Route(f"{integration}/jobs", _endpoint(control.open_job), methods=["POST"]),
        Route(f"{integration}/jobs/{{job_id}}/{{action}}", _endpoint(control.change_job), methods=["POST"]),
        Route("/sandbox/clock", _endpoint(control.advance), methods=["POST"]),
        Route("/sandbox/live", _endpoint(control.live), methods=["POST"]),
    ]


class _Control:
    """What the routes do; each method takes the parameters of the path and the JSON of the body."""

    def __init__(self, world: World, life: Life | None) -> None:
        self._world = world
        self._life = life

    def overview(self, _path: dict[str, str], _body: dict[str, Any]) -> dict[str, Any]:
        """List the integrations with their counts and states, and the time of the sandbox."""
        found = [self._world.integration(integration_id) for integration_id in self._world.integrations()]
        return {
            "now": stamp(self._world.clock.now()),
            "live": self._life is not None and self._life.active,
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

    def connect(self, _path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Connect a customer."""
        return {"id": self._world.add_integration(**body)}

    def sync(self, path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Let Kombo copy an integration, or fail at it."""
        done = self._world.sync(path["integration_id"], body.get("state", "SUCCEEDED"), kind=body.get("kind", "FULL"))
        return {"sync_id": done.sync_id, "state": done.state, "changed_models": list(done.changed_models)}

    def open_job(self, path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Open a job in the ATS."""
        return {"job_id": self._world.open_job(path["integration_id"], **body)}

    def change_job(self, path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Change a job in the ATS; raises ValueError for an unknown action."""
        integration_id, job_id, action = path["integration_id"], path["job_id"], path["action"]
        statuses = {"close": "CLOSED", "archive": "ARCHIVED", "open": "OPEN"}
        actions: dict[str, Callable[[str, str], Any]] = {
            "delete": self._world.delete_job,
            "restore": self._world.restore_job,
            "repost": self._world.repost_job,
            "event": self._world.upstream_event,
        }
        if action in statuses:
            self._world.set_status(integration_id, job_id, statuses[action])
        elif action == "edit":
            self._world.edit_job(integration_id, job_id, **body)
        elif action in actions:
            job_id = actions[action](integration_id, job_id) or job_id
        else:
            raise ValueError(f"unknown action {action}: use {', '.join([*statuses, 'edit', *actions])}")
        return {"job_id": job_id}

    # Not async: it runs in a thread, so that a large customer's list does not keep Kombo's responses waiting.
    def own_jobs_feed(self, request: Request) -> Response:
        """Return the customer's jobs in the product that advertises them."""
        integration_id = request.path_params["integration_id"]
        try:
            publisher = self._world.integration(integration_id).organization
            return Response(job_feed(own_jobs(self._world, integration_id), publisher=publisher), media_type="text/xml")
        except KeyError as error:
            return _unknown(error)

    def advance(self, _path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Move the clock forward, and let happen what is due by then."""
        self._world.clock.advance(timedelta(seconds=body["advance_seconds"]))
        self._world.settle()
        return {"now": stamp(self._world.clock.now())}

    def live(self, _path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Pause or resume what happens by itself; raises ValueError for a sandbox that was not started live."""
        if self._life is None or body["action"] not in ("pause", "resume"):
            raise ValueError('write {"action": "pause"} or {"action": "resume"}, to a sandbox that was started live')
        self._life.active = body["action"] == "resume"
        return {"live": self._life.active}


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
