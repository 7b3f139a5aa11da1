"""Every route x every role x another customer's objects; forms of other sites; headers of every answer.

A route that ROUTES does not know fails the first test: whoever adds one says here who may.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from kombo_pipeline.backoffice.app import app
from kombo_pipeline_tests.backoffice.conftest import SECRET, Backoffice, Client, backoffice_settings, running_backoffice
from kombo_pipeline_tests.backoffice.customers import Customer, add_customer

ROLES = ("viewer", "reviewer", "admin")


@dataclass(frozen=True)
class Guarded:
    """Who may use a route, and a request that asks it for a customer's object.

    Values of `path`, `query` and `form` may hold what a Customer of customers.py has: {customer}, {integration}, ...
    """

    role: str
    customers: bool = False
    """Whether a customer that came by its link may, for its own objects."""
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    names_an_object: bool = True
    """False where every customer sees its own, so that no foreign object can be asked for."""


PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/static/{name}"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/c/{token}"),
    ("POST", "/api/own-jobs/{customer:path}"),  # a token of its own: test_feed.py
    ("DELETE", "/api/own-jobs/{customer:path}"),
}
"""What nobody must be signed in for; each has tests of its own."""

_ONE_INTEGRATION = {"integration_id": "{integration}"}
_OF_INTEGRATION = {"integration": "{integration}"}
_CARD = {"of": "{customer}", "in": "{integration}", "own": "{own_job}"}
ROUTES: dict[tuple[str, str], Guarded] = {
    ("GET", "/"): Guarded("viewer", customers=True, names_an_object=False),
    ("GET", "/review"): Guarded("viewer", query=_CARD),
    ("GET", "/review/description"): Guarded("viewer", query=_OF_INTEGRATION | {"job": "{job}"}),
    ("GET", "/review/search"): Guarded("viewer", query=_CARD | {"q": "engineer"}),
    ("POST", "/review/answer"): Guarded("reviewer", form={"card": "forged", "answer": "unsure"}),
    ("POST", "/review/undo"): Guarded("reviewer", form={"answer_id": "{answer}"}),
    ("GET", "/review/bulk"): Guarded("viewer", query={"customer": "{customer}"}),
    ("POST", "/review/bulk"): Guarded("reviewer", form={"batch": "forged"}),
    ("GET", "/history"): Guarded("viewer", query={"customer": "{customer}"}),
    ("GET", "/picker"): Guarded("viewer", customers=True, query=_OF_INTEGRATION),
    ("POST", "/picker/choose"): Guarded(
        "reviewer", customers=True, form=_OF_INTEGRATION | {"action": "expose", "job": "{job}"}
    ),
    ("GET", "/picker/preview"): Guarded("viewer", customers=True, query=_OF_INTEGRATION | {"action": "expose"}),
    ("POST", "/picker/choose-all"): Guarded("reviewer", customers=True, form=_OF_INTEGRATION | {"action": "expose"}),
    ("GET", "/picker/history"): Guarded("viewer", customers=True, query=_OF_INTEGRATION | {"job": "{job}"}),
    ("GET", "/picker/export"): Guarded("viewer", customers=True, query=_OF_INTEGRATION),
    ("GET", "/picker/paste"): Guarded("viewer", customers=True, query=_OF_INTEGRATION),
    ("POST", "/picker/paste"): Guarded("reviewer", customers=True, form=_OF_INTEGRATION | {"text": "Engineer"}),
    ("POST", "/picker/paste/expose"): Guarded("reviewer", customers=True, form=_OF_INTEGRATION | {"job": "{job}"}),
    ("GET", "/own-jobs"): Guarded("viewer", query={"customer": "{customer}"}),
    ("GET", "/own-jobs/new"): Guarded("reviewer", query=_OF_INTEGRATION),
    ("POST", "/own-jobs/new"): Guarded("reviewer", form=_OF_INTEGRATION | {"do": "search", "q": "engineer"}),
    ("GET", "/own-jobs/ats-jobs"): Guarded("reviewer", query=_OF_INTEGRATION | {"q": "engineer"}),
    ("POST", "/own-jobs/withdraw"): Guarded("reviewer", form={"customer": "{customer}", "own_job_id": "{own_job}"}),
    ("GET", "/integrations"): Guarded("viewer"),
    ("GET", "/integrations/{integration_id}"): Guarded("viewer", path=_ONE_INTEGRATION),
    ("POST", "/integrations/{integration_id}/fetch"): Guarded("reviewer", path=_ONE_INTEGRATION),
    ("POST", "/integrations/{integration_id}/customer-link"): Guarded(
        "admin", path=_ONE_INTEGRATION, form={"days": "7"}
    ),
    ("POST", "/integrations/{integration_id}/takeover"): Guarded(
        "admin", path=_ONE_INTEGRATION, form={"predecessor": "{integration}", "decision": "refuse"}
    ),
    ("POST", "/integrations/{integration_id}/owner"): Guarded(
        "admin", path=_ONE_INTEGRATION, form={"claimed": "another", "customer": "{customer}"}
    ),
    ("GET", "/holds"): Guarded("viewer"),
    ("GET", "/holds/{hold_id}"): Guarded("viewer", path={"hold_id": "{hold}"}),
    ("POST", "/holds/{hold_id}"): Guarded("admin", path={"hold_id": "{hold}"}, form={"decision": "refuse"}),
    ("GET", "/holds/own-jobs/{hold_id}"): Guarded("viewer", path={"hold_id": "{withdrawal}"}),
    ("POST", "/holds/own-jobs/{hold_id}"): Guarded(
        "admin", path={"hold_id": "{withdrawal}"}, form={"decision": "refuse"}
    ),
    ("GET", "/links"): Guarded("viewer"),
    ("GET", "/links/{link_id}"): Guarded("viewer", path={"link_id": "{link}"}),
}


def routes() -> list[tuple[str, str]]:
    """Every method and path that the app answers."""
    settings = backoffice_settings(backoffice_secret=SECRET)
    application = app(warehouse_url="postgresql://nowhere/nothing", settings=settings)
    found = []
    for route in application.routes:
        assert isinstance(route, Route), f"{route} is no plain route: it would escape this test"
        found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


def ask(client: Client, key: tuple[str, str], customer: Customer, **headers: str) -> httpx.Response:
    """Send what the table says of a route, for an object of `customer`."""
    (method, path), row = key, ROUTES[key]
    filled = {kind: customer.fill(getattr(row, kind)) for kind in ("path", "query", "form")}
    url = httpx.URL(path.format(**filled["path"]), params=filled["query"])
    if method == "GET":
        return client.get(url, headers=headers)
    return client.request(method, url, data={"csrf_token": client.csrf_token} | filled["form"], headers=headers)


@pytest.fixture(scope="module")
def acme(backoffice: Backoffice) -> Customer:
    return add_customer(backoffice, "acme")


@pytest.fixture(scope="module")
def globex(backoffice: Backoffice) -> Customer:
    return add_customer(backoffice, "globex")


def test_every_route_is_in_the_table_and_guarded_as_it_says() -> None:
    assert set(routes()) == PUBLIC | set(ROUTES), "say in ROUTES who may use the route, and with which request"
    settings = backoffice_settings(backoffice_secret=SECRET)
    for route in app(warehouse_url="postgresql://nowhere/nothing", settings=settings).routes:
        assert isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            if (row := ROUTES.get((method, route.path))) is not None:
                assert getattr(route.endpoint, "needs", None) == (row.role, row.customers), route.path


@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
def test_nobody_gets_in_without_signing_in(backoffice: Backoffice, acme: Customer, key: tuple[str, str]) -> None:
    answer = ask(backoffice.new_client(), key, acme)
    if key[0] == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
def test_a_role_may_what_the_table_says_and_no_more(
    backoffice: Backoffice, acme: Customer, key: tuple[str, str], role: str
) -> None:
    answer = ask(backoffice.client(role), key, acme)
    may = ROLES.index(role) >= ROLES.index(ROUTES[key].role)
    assert answer.status_code < 500, answer.text
    assert (answer.status_code != 403) == may, answer.text
    assert answer.status_code != 401
    assert answer.headers.get("location", "").startswith("/login") is False


@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
def test_a_customer_finds_nothing_of_another_customer(
    backoffice: Backoffice, acme: Customer, globex: Customer, key: tuple[str, str]
) -> None:
    row, client = ROUTES[key], backoffice.customer("acme")
    theirs = ask(client, key, globex)
    if not row.customers or row.names_an_object:
        assert theirs.status_code == 404, theirs.text
    assert "globex" not in theirs.text.lower()


@pytest.mark.parametrize("key", [key for key, row in ROUTES.items() if row.customers], ids=" ".join)
def test_a_customer_may_use_what_is_for_customers(
    backoffice: Backoffice, acme: Customer, globex: Customer, key: tuple[str, str]
) -> None:
    answer = ask(backoffice.customer("acme"), key, acme)
    assert answer.status_code not in (401, 403, 404), answer.text
    assert answer.status_code < 500, answer.text
    assert "globex" not in answer.text.lower()


POSTS = [key for key in ROUTES if key[0] != "GET"]


@pytest.mark.parametrize("key", POSTS, ids=" ".join)
def test_a_form_of_another_site_or_session_is_refused(
    backoffice: Backoffice, acme: Customer, key: tuple[str, str]
) -> None:
    client = backoffice.client("admin")
    for site in ("cross-site", "same-site", "none"):
        assert ask(client, key, acme, **{"Sec-Fetch-Site": site}).status_code == 403
    other = backoffice.new_client()
    other.cookies.update(client.cookies)
    del other.headers["Sec-Fetch-Site"]
    assert ask(other, key, acme).status_code == 403
    assert ask(other, key, acme, Origin="http://elsewhere.example").status_code == 403
    path = key[1].format(**acme.fill(ROUTES[key].path))
    for token in (None, "", "0" * 64, backoffice.access.csrf_token("nobody"), backoffice.client("viewer").csrf_token):
        fields = acme.fill(ROUTES[key].form) | ({} if token is None else {"csrf_token": token})
        assert client.post(path, data=fields).status_code == 403


@pytest.mark.parametrize("key", [key for key in routes() if key[0] == "GET"], ids=" ".join)
def test_no_get_changes_anything(backoffice: Backoffice, acme: Customer, key: tuple[str, str]) -> None:
    before = fingerprint(backoffice)
    if key in ROUTES:
        ask(backoffice.client("admin"), key, acme)
    else:
        backoffice.client("admin").get(key[1].replace("{name}", "style.css").replace("{token}", "x"))
    assert fingerprint(backoffice) == before


def fingerprint(backoffice: Backoffice) -> list[Any]:
    """Content of every table of core and raw, so that any change shows."""
    with backoffice.connect() as conn:
        tables = conn.execute(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables "
            "where schemaname in ('core', 'raw') order by 1"
        )
        return [
            conn.execute(
                f"select '{row['name']}', md5(coalesce(string_agg(t::text, '|' order by t::text), '')) "
                f"from {row['name']} t"
            ).fetchone()
            for row in tables.fetchall()
        ]


HTTPS, HOST = "https://jobs.example.com", "jobs.example.com"
ORIGINS: list[tuple[dict[str, str], bool]] = [
    # What a browser sends of itself, and whether it comes from a page of ours at HTTPS.
    ({}, False),
    ({"Origin": HTTPS}, True),
    ({"Origin": "HTTPS://Jobs.Example.COM"}, True),
    ({"Origin": f"{HTTPS}:443"}, True),
    ({"Origin": f"http://{HOST}"}, False),
    ({"Origin": f"HTTP://{HOST}"}, False),
    ({"Origin": f"http://{HOST}:443"}, False),
    ({"Origin": f"http://{HOST}:80"}, False),
    ({"Origin": f"{HTTPS}:80"}, False),
    ({"Origin": f"{HTTPS}:8443"}, False),
    ({"Origin": f"{HTTPS}."}, False),
    ({"Origin": f"{HTTPS}.evil.example"}, False),
    ({"Origin": f"{HTTPS}@evil.example"}, False),
    ({"Origin": f"https://evil.example@{HOST}"}, False),
    ({"Origin": "https://www.jobs.example.com"}, False),
    ({"Origin": f"{HTTPS}/"}, False),
    ({"Origin": f"{HTTPS} https://evil.example"}, False),
    ({"Origin": HOST}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://127.0.0.1"}, False),
    ({"Referer": f"{HTTPS}/login"}, False),
    ({"Referer": f"http://{HOST}/login"}, False),
    ({"Origin": HTTPS, "Referer": f"{HTTPS}/login"}, True),
    ({"Origin": HTTPS, "Referer": f"http://{HOST}/login"}, False),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),  # as browsers do for pages that send no Referer
    ({"Sec-Fetch-Site": "same-origin", "Origin": HTTPS}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"}, False),
    ({"Sec-Fetch-Site": "same-origin", "Referer": f"http://{HOST}/x"}, False),
    ({"Sec-Fetch-Site": "same-site", "Origin": HTTPS}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": HTTPS}, False),
    ({"Sec-Fetch-Site": "none", "Origin": HTTPS}, False),
    ({"Sec-Fetch-Site": "", "Origin": HTTPS}, False),
]


@pytest.fixture(scope="module")
def https_url(backoffice: Backoffice) -> Iterator[str]:
    """A back office behind a proxy that speaks https with the public."""
    with running_backoffice(backoffice.warehouse_url, backoffice_url="https://Jobs.example.com:443") as url:
        yield url


@pytest.mark.parametrize(("headers", "is_ours"), ORIGINS, ids=repr)
@pytest.mark.parametrize("path", ["/login", "/logout", "/own-jobs/withdraw"])
def test_with_an_https_address_only_pages_of_that_address_are_ours(
    backoffice: Backoffice, https_url: str, path: str, headers: dict[str, str], is_ours: bool
) -> None:
    client = backoffice.new_client()
    client.base_url = https_url
    del client.headers["Sec-Fetch-Site"]
    # The token of a link is asked for, so that no password is hashed.
    answer = client.post(path, data={"token": "x"}, headers={"Host": HOST} | headers)
    assert (answer.status_code != 403) == is_ours, answer.text
    if not is_ours:
        assert "This form" in answer.text or "Your browser does not say" in answer.text


def test_two_origins_or_sites_at_once_are_of_nobody(backoffice: Backoffice, https_url: str) -> None:
    client = backoffice.new_client()
    client.base_url = https_url
    del client.headers["Sec-Fetch-Site"]
    for twice in (("Origin", HTTPS, "https://evil.example"), ("Sec-Fetch-Site", "same-origin", "cross-site")):
        for first, second in (twice[1:], twice[:0:-1]):
            headers = [("Host", HOST), (twice[0], first), (twice[0], second)]
            assert client.post("/login", data={"token": "x"}, headers=headers).status_code == 403


STAFF = ("Grace.Hopper@staff.example", "customer globex", "identifier job_code", "<b>Ada</b>")


@pytest.mark.parametrize("key", [key for key, row in ROUTES.items() if row.customers], ids=" ".join)
def test_a_customer_reads_no_name_of_ours_and_its_own(backoffice: Backoffice, key: tuple[str, str]) -> None:
    initech = add_customer(backoffice, f"initech-{list(ROUTES).index(key)}")
    name = initech.customer
    with backoffice.connect() as conn:
        conn.execute("delete from core.exposed_jobs where integration_id = %s", (initech.integration,))
        for number, by in enumerate((*STAFF, f"customer {name}")):
            conn.execute(
                """
                insert into core.exposed_jobs
                    (integration_id, kombo_job_id, exposed_from, exposed_until, exposed_by, ended_by, channel)
                values (%s, %s, now() - interval '1 day' * %s, now() - interval '1 hour' * %s, %s, %s, 'picker')
                """,
                (initech.integration, initech.job, 10 - number, 20 - number, by, by),
            )
        for number, by in ((2, STAFF[0]), (3, f"customer {name}")):
            conn.execute(
                "insert into core.exposed_jobs (integration_id, kombo_job_id, exposed_by, channel) "
                "values (%s, %s, %s, 'picker')",
                (initech.integration, f"{name}-job-{number}", by),
            )
        conn.execute("update core.job_links set confirmed_by = %s where customer_id = %s", (STAFF[0], name))
    answer = ask(backoffice.customer(name), key, initech)
    assert not any(staff in answer.text for staff in (*STAFF, "Grace.Hopper", "&lt;b&gt;Ada"))
    staff_answer = ask(backoffice.client("admin"), key, initech)
    if key[1] in ("/picker", "/picker/history", "/picker/export"):
        assert "us" in re.findall(r"\w+", answer.text), "somebody of ours"
        assert f"customer {name}" in answer.text
        assert f"customer {name}" in staff_answer.text
        assert key[1] == "/picker/history" or STAFF[0] in staff_answer.text


# Headers and limits


@pytest.mark.parametrize("path", ["/", "/login", "/nothing", "/c/forged", "/static/style.css", "/static/nothing"])
def test_every_answer_has_the_strict_headers(backoffice: Backoffice, path: str) -> None:
    for client in (backoffice.client(None), backoffice.client("admin")):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        if path != "/static/style.css":
            assert headers["cache-control"] == "no-store"


def test_a_static_file_is_kept_only_under_the_address_that_changes_with_it(anonymous: Client) -> None:
    page = anonymous.get("/login").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert anonymous.get(address).headers["cache-control"] == "public, max-age=31536000"
    assert anonymous.get("/static/style.css?v=old").headers["cache-control"] == "public, max-age=0"
    assert anonymous.get("/static/..%2fapp.py").status_code == 404
    assert anonymous.get("/static/%2e%2e%5capp.py").status_code == 404


def test_a_long_form_is_refused_and_loses_nothing_else(backoffice: Backoffice) -> None:
    client = backoffice.new_client()
    answer = client.submit("/login", name="viewer", password="x" * 1_100_000)
    assert answer.status_code == 413
    assert "nothing was saved" in answer.text


def test_a_file_is_refused(backoffice: Backoffice) -> None:
    client = backoffice.new_client()
    answer = client.post("/login", data={"name": "viewer"}, files={"password": b"..."})
    assert answer.status_code == 400
