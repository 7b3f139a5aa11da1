"""A running back office and people who use it.

backoffice   (module) a `Backoffice`: the app on a real port, against a migrated, empty warehouse of the module's own,
             where it has no more rights than kombo_backoffice: what a page needs stands in db/roles.sql.
             `.url`, `.warehouse_url`, `.settings`, `.connect()` (a Connection of the owner to fill tables with),
             `.client(role)` (a `Client` signed in as "viewer", "reviewer", "admin", None = nobody; kept, so the
             second call is free), `.customer(customer_id)` (a `Client` that came by that customer's link).
client       `viewer`, `reviewer`, `admin`, `anonymous`: the same as fixtures.
             A `Client` is an httpx.Client that follows no redirects and behaves like a browser of this site.
             `.get(path)` as ever; `.submit(path, **fields)` POSTs a form with its CSRF token; fields may be lists.
page_as      (function) `page_as("reviewer")` -> a Playwright Page signed in as that role, base URL set, so that
             `page.goto("/review")` works. Options of a browser context pass through: `color_scheme="dark"`,
             `viewport={"width": 320, "height": 640}`, `java_script_enabled=False`. `page_as(customer="acme")`: by
             that customer's link. What breaks the CSP, an error in a script, or a request to another host fails
             the test at its end. Skips without a Chromium.
assert_accessible(page)  no serious or critical finding of axe-core in what the page shows now.

The browser is started once for this folder. While it lives, its event loop runs in the tests' thread: a test here
must not call asyncio.run itself.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from kombo_pipeline.backoffice import app as backoffice_app
from kombo_pipeline.backoffice import passwords, waiting
from kombo_pipeline.backoffice.access import Access
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline.db.connection import Connection, connect
from kombo_pipeline.settings import Settings
from kombo_pipeline.settings import load as load_settings
from kombo_pipeline_tests.conftest import as_member

SECRET = "a secret of the tests, of more than 32 characters"
PASSWORD = "correct horse battery staple"
ROLES = ("viewer", "reviewer", "admin")
_AXE = (Path(__file__).parent / "axe.min.js").read_text()
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Client(httpx.Client):
    """A browser of this site, without pages."""

    def submit(self, path: str, **fields: Any) -> httpx.Response:
        """POST a form as a page of ours would."""
        return self.post(path, data={"csrf_token": self.csrf_token} | fields)

    @property
    def csrf_token(self) -> str:
        """What the forms of this client's pages carry."""
        bindings = {"kombo_customer": "customer", "kombo_session": "session"}
        found = [f"{kind} {self.cookies[name]}" for name, kind in bindings.items() if name in self.cookies]
        return self.access.csrf_token(found[0] if found else "nobody")

    access: Access


@dataclass
class Backoffice:
    """A running back office."""

    url: str
    warehouse_url: str
    settings: Settings
    clients: dict[str | None, Client] = field(default_factory=dict)

    @property
    def access(self) -> Access:
        return Access(self.settings)

    def connect(self) -> Connection:
        """A connection of the tests' own, with all rights."""
        return connect(self.warehouse_url)

    def new_client(self, **options: Any) -> Client:
        """A client that has no cookie yet."""
        client = Client(base_url=self.url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30, **options)
        client.access = self.access
        return client

    def client(self, role: str | None) -> Client:
        """The client that is signed in as `role`; None: as nobody."""
        if role not in self.clients:
            client = self.new_client()
            if role is not None:
                assert client.submit("/login", name=role, password=PASSWORD).status_code == 303
            self.clients[role] = client
        return self.clients[role]

    def customer(self, customer_id: str) -> Client:
        """The client that came by a customer's link."""
        if f"customer {customer_id}" not in self.clients:
            client = self.new_client()
            link = self.access.customer_link(customer_id)
            assert client.get(urlsplit(link).path).status_code == 303
            self.clients[f"customer {customer_id}"] = client
        return self.clients[f"customer {customer_id}"]


class _Running:
    """Serves an app in a thread, on a free port."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = make(self.url)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline and self._thread.is_alive(), "the back office does not start"
            time.sleep(0.01)
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()


@pytest.fixture(scope="session")
def hashed_password() -> str:
    return passwords.hashed(PASSWORD)


def running_backoffice(warehouse_url: str, **settings: Any) -> "_Running":
    """A back office for a `with` block, with settings of the test's own; its value is the URL."""

    def make(url: str) -> Any:
        values = {"backoffice_secret": SECRET, "backoffice_url": url} | settings
        least = as_member("kombo_backoffice", warehouse_url)
        return backoffice_app.server(warehouse_url=least, settings=backoffice_settings(**values))

    return _Running(make)


def backoffice_settings(**values: Any) -> Settings:
    """The settings of an empty environment, and `values`."""
    return Settings(**({name: getattr(_EMPTY, name) for name in _EMPTY.__dataclass_fields__} | values))


_EMPTY = load_settings()


@pytest.fixture(scope="module")
def backoffice_values() -> dict[str, Any]:
    """Settings that a module overrides for its back office."""
    return {}


@pytest.fixture(scope="module")
def backoffice(
    module_warehouse_url: str, hashed_password: str, backoffice_values: dict[str, Any]
) -> Iterator[Backoffice]:
    """A running back office, a user of each role, and a warehouse of the module's own."""
    with connect(module_warehouse_url) as conn:
        for role in ROLES:
            users.put_user(conn, role, role=role, password_hash=hashed_password)
    with running_backoffice(module_warehouse_url, **backoffice_values) as url:
        settings = backoffice_settings(backoffice_secret=SECRET, backoffice_url=url)
        running = Backoffice(url, module_warehouse_url, settings)
        yield running
        for client in running.clients.values():
            client.close()


@pytest.fixture
def anonymous(backoffice: Backoffice) -> Client:
    return backoffice.client(None)


@pytest.fixture
def viewer(backoffice: Backoffice) -> Client:
    return backoffice.client("viewer")


@pytest.fixture
def reviewer(backoffice: Backoffice) -> Client:
    return backoffice.client("reviewer")


@pytest.fixture
def admin(backoffice: Backoffice) -> Client:
    return backoffice.client("admin")


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright, as long as tests of this folder run."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium, as long as tests of this folder run."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium; Debian: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    chromium = playwright.chromium.launch(executable_path=path, args=arguments)
    yield chromium
    chromium.close()


@pytest.fixture
def nobody_looked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a queue of the review page that holds nothing read at once, whoever looked at another a moment ago."""
    monkeypatch.setattr(waiting, "EMPTY_SECONDS", 0)


@pytest.fixture
def page_as(backoffice: Backoffice, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages signed in as a role, or come by a customer's link; whatever goes wrong in them fails the test."""
    contexts, wrong = [], []

    def hear(message: Any) -> None:
        # A page that is answered 403 or 404 on purpose is told of as an error as well.
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    def watch(request: Any) -> None:
        if not request.url.startswith((backoffice.url, "data:")):
            wrong.append(f"asked {request.url}")

    def open_page(role: str | None = None, *, customer: str | None = None, **options: Any) -> Page:
        context = browser.new_context(base_url=backoffice.url, **options)
        contexts.append(context)
        client = backoffice.client(role) if customer is None else backoffice.customer(customer)
        context.add_cookies(
            [{"name": name, "value": value, "url": backoffice.url} for name, value in client.cookies.items()]
        )
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", watch)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong


def assert_accessible(page: Page, *, without: tuple[str, ...] = ()) -> None:
    """No serious or critical finding of axe-core; `without` names rules that do not apply, which is for exceptions."""
    # Through the debugger, where the page's CSP does not stop it.
    page.evaluate(_AXE)
    found = page.evaluate(
        "(without) => axe.run(document, {resultTypes: ['violations'], "
        "rules: Object.fromEntries(without.map(id => [id, {enabled: false}]))})",
        list(without),
    )
    serious = [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert not serious, "\n".join(serious)
