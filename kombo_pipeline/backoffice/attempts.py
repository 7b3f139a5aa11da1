"""How often a password may be tried. Attempts are counted in the warehouse, for all processes, before they are hashed.

A browser in which the user signed in before has a budget of its own: wrong passwords of strangers do not lock users
out of their own browser. A signed cookie marks such a browser; with a stolen cookie few attempts are possible.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from itsdangerous import BadSignature
from starlette.requests import Request
from starlette.responses import Response

from kombo_pipeline.backoffice import proxies
from kombo_pipeline.backoffice.access import Access, new_token
from kombo_pipeline.backoffice.statements.sign_in_attempts import Budget

A_MINUTE: Final = 5
"""Wrong passwords a minute for one name from one address, or from one known browser."""
AN_HOUR: Final = 20
"""The same in an hour: one address alone cannot use up what a name has."""
OF_AN_ADDRESS: Final = 50
"""Wrong passwords a minute from one address, whatever the names: an office shares one."""
OF_A_NAME: Final = 100
"""Wrong passwords an hour for one name, from all addresses and unknown browsers."""
BROWSER_DAYS: Final = 180
MAX_USERS: Final = 5
"""How many users of one browser are remembered; beyond that the one who signed in longest ago is forgotten."""


def budgets(request: Request, name: str) -> Sequence[Budget]:
    """Return the budgets in which an attempt to sign in as `name` counts."""
    doors: Access = request.app.state.access
    if is_known(request, name):
        browser = doors.keyed_hash("browser", _browser(request)["id"], name)
        return (Budget("browser_minute", browser, A_MINUTE, 60), Budget("browser_hour", browser, AN_HOUR, 3600))
    address = proxies.visitor(request, doors.trusted_proxies)
    visitor = doors.keyed_hash("visitor", address, name)
    return (
        Budget("visitor_minute", visitor, A_MINUTE, 60),
        Budget("visitor_hour", visitor, AN_HOUR, 3600),
        Budget("address", doors.keyed_hash("address", address), OF_AN_ADDRESS, 60),
        Budget("name", doors.keyed_hash("name", name), OF_A_NAME, 3600),
    )


def is_known(request: Request, name: str) -> bool:
    """Whether the user signed in from this browser in the last months."""
    doors: Access = request.app.state.access
    until = _browser(request)["users"].get(_short(doors, name), 0)
    return bool(until > time.time())


def remember_browser(request: Request, response: Response, name: str) -> None:
    """Set the cookie that marks the browser as one in which the user has signed in."""
    doors: Access = request.app.state.access
    browser = _browser(request)
    users = browser["users"] | {_short(doors, name): int(time.time() + BROWSER_DAYS * 86_400)}
    newest = sorted(users, key=users.__getitem__)[-MAX_USERS:]
    kept = {"id": browser["id"], "users": {user: users[user] for user in newest}}
    doors.set_cookie(response, doors.browser_cookie, doors.signer("browser").dumps(kept), max_age=BROWSER_DAYS * 86_400)


def in_words(wait: timedelta) -> str:
    """Say how long to wait: 43 seconds, 12 minutes."""
    seconds = whole_seconds(wait)
    number, unit = (seconds, "second") if seconds <= 90 else (-(-seconds // 60), "minute")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def whole_seconds(wait: timedelta) -> int:
    """Return a wait in whole seconds, rounded up."""
    return max(1, -(-wait // timedelta(seconds=1)))


def _browser(request: Request) -> dict[str, Any]:
    """Return the content of the cookie: an id, and until when each user is known. Without our cookie the id is new."""
    doors: Access = request.app.state.access
    try:
        return dict(doors.signer("browser").loads(request.cookies.get(doors.browser_cookie, "")))
    except BadSignature:
        return {"id": new_token(), "users": {}}


def _short(doors: Access, name: str) -> str:
    return doors.keyed_hash("user of a browser", name).hex()[:16]
