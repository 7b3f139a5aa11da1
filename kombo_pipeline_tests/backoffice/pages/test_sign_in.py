"""Signing in and out, customers' links, and the trusted proxy, as people meet them."""

import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline.backoffice import app, passwords
from kombo_pipeline.backoffice.access import Access, token_hash
from kombo_pipeline.backoffice.pages.sign_in import sign_in_link
from kombo_pipeline.backoffice.statements import users
from kombo_pipeline_tests.backoffice.conftest import (
    PASSWORD,
    Backoffice,
    Client,
    assert_accessible,
    backoffice_settings,
    running_backoffice,
)
from kombo_pipeline_tests.backoffice.customers import add_customer


@pytest.fixture
def client(backoffice: Backoffice) -> Client:
    return backoffice.new_client()


def role_of(client: Client) -> str | None:
    """Whose pages the client sees; None when it is sent to the sign-in page."""
    answer = client.get("/")
    if answer.headers.get("location", "").startswith("/login"):
        return None
    text = client.get("/a-page-that-is-not").text
    return next(role for role in ("viewer", "reviewer", "admin", "customer") if f">{role}<" in text or "Leave" in text)


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page_and_back(client: Client) -> None:
    answer = client.get("/?customer=a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Fcustomer%3Da%2520b")
    form = client.get(answer.headers["location"])
    assert 'name="next" value="/?customer=a%20b"' in form.text
    answer = client.submit("/login", name="viewer", password=PASSWORD, next="/?customer=a%20b")
    assert answer.headers["location"] == "/?customer=a%20b"
    assert client.get("/").headers["location"] == "/review"


@pytest.mark.parametrize("elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/x", "x", ""])
def test_signing_in_leads_to_no_other_site(backoffice: Backoffice, elsewhere: str) -> None:
    answer = backoffice.new_client().submit("/login", name="viewer", password=PASSWORD, next=elsewhere)
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("name", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("viewer\x00", PASSWORD), ("'", "'")]
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike(client: Client, name: str, password: str) -> None:
    answer = client.submit("/login", name=name, password=password)
    assert answer.status_code == 401
    assert "Name or password is wrong, or the user is disabled." in answer.text
    assert "set-cookie" not in answer.headers


def test_passwords_are_kept_as_argon2id_and_short_ones_are_refused(hashed_password: str) -> None:
    assert hashed_password.startswith("$argon2id$")
    assert passwords.hashed(PASSWORD) != hashed_password
    assert passwords.is_right(hashed_password, PASSWORD)
    assert not passwords.is_right(None, PASSWORD)
    with pytest.raises(ValueError, match="12 characters"):
        passwords.hashed("short")


def test_a_session_is_rotated_by_signing_in_and_revoked_by_signing_out(backoffice: Backoffice, client: Client) -> None:
    client.submit("/login", name="viewer", password=PASSWORD)
    first = client.cookies["kombo_session"]
    client.submit("/login", name="reviewer", password=PASSWORD)
    second = client.cookies["kombo_session"]
    assert first != second
    old = backoffice.new_client()
    old.cookies["kombo_session"] = first
    assert role_of(old) is None
    assert role_of(client) == "reviewer"
    assert client.submit("/logout").headers["location"] == "/login"
    assert "kombo_session" not in client.cookies
    old.cookies["kombo_session"] = second
    assert role_of(old) is None


def test_signing_out_needs_a_form_of_this_session(backoffice: Backoffice, client: Client) -> None:
    client.submit("/login", name="viewer", password=PASSWORD)
    assert client.post("/logout", data={"csrf_token": "0"}).status_code == 403
    assert client.post("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert role_of(client) == "viewer"


def test_a_session_ends_after_its_hours_and_with_its_user(backoffice: Backoffice, hashed_password: str) -> None:
    with backoffice.connect() as conn:
        users.put_user(conn, "bob", role="admin", password_hash=hashed_password)
    first, second = backoffice.new_client(), backoffice.new_client()
    for client in (first, second):
        client.submit("/login", name="bob", password=PASSWORD)
        assert role_of(client) == "admin"
    with backoffice.connect() as conn:
        lasting = conn.execute(
            "select extract(epoch from expires_at - created_at) as seconds, token_hash from core.backoffice_sessions "
            "where user_name = 'bob'"
        ).fetchall()
        assert {row["seconds"] for row in lasting} == {8 * 3600}
        assert all(first.cookies["kombo_session"].encode() not in row["token_hash"] for row in lasting)
        conn.execute(
            "update core.backoffice_sessions set expires_at = now() - interval '1 second' where token_hash = %s",
            (token_hash(first.cookies["kombo_session"]),),
        )
    assert (role_of(first), role_of(second)) == (None, "admin")
    with backoffice.connect() as conn:
        users.disable_user(conn, "bob")
    assert role_of(second) is None
    assert second.submit("/login", name="bob", password=PASSWORD).status_code == 401


def test_a_form_that_came_too_late_is_refused_but_what_was_written_into_it_is_not_lost(
    backoffice: Backoffice, client: Client
) -> None:
    answer = client.submit("/picker/paste", text="Senior Engineer\n<b>Berlin</b>", integration="personio:acme")
    assert answer.status_code == 401
    assert "nothing was saved" in answer.text
    assert "<textarea readonly>Senior Engineer\n&lt;b&gt;Berlin&lt;/b&gt;</textarea>" in answer.text
    assert client.csrf_token not in answer.text
    answer = backoffice.client("reviewer").post("/picker/paste", data={"text": "of an earlier session"})
    assert answer.status_code == 403
    assert "<textarea readonly>of an earlier session</textarea>" in answer.text
    assert "textarea" not in client.submit("/login", name="no one", password="a wrong password").text


def test_cookies_are_out_of_reach_of_scripts_and_other_sites_and_secure_with_https(
    backoffice: Backoffice, module_warehouse_url: str
) -> None:
    plain = backoffice.new_client().submit("/login", name="viewer", password=PASSWORD).headers["set-cookie"]
    assert "kombo_session=" in plain
    assert "HttpOnly; Max-Age=28800; Path=/; SameSite=lax" in plain
    assert "Secure" not in plain
    with running_backoffice(module_warehouse_url, backoffice_url="https://jobs.example.com") as url:
        secure = backoffice.new_client()
        secure.base_url = url
        del secure.headers["Sec-Fetch-Site"]
        secure.headers["Origin"] = "https://jobs.example.com"
        answer = secure.submit("/login", name="viewer", password=PASSWORD)
    assert answer.headers["set-cookie"].startswith("__Host-kombo_session=")
    assert "; HttpOnly; Max-Age=28800; Path=/; SameSite=lax; Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_a_sign_in_link_works_once_and_only_by_its_button(backoffice: Backoffice) -> None:
    with backoffice.connect() as conn:
        link = sign_in_link(conn, backoffice.url, "admin", lasts=timedelta(minutes=1))
    token = link.partition("token=")[2]
    first, second = backoffice.new_client(), backoffice.new_client()
    assert "signs you in once" in first.get(link).text
    assert role_of(first) is None
    first.cookies["kombo_session"] = token
    assert role_of(first) is None, "a link is no session"
    assert first.submit("/login", token=token).status_code == 303
    assert role_of(first) == "admin"
    answer = second.submit("/login", token=token)
    assert answer.status_code == 401
    assert "used before or has expired" in answer.text
    assert role_of(second) is None


# Customers


def test_a_customers_link_shows_the_jobs_of_that_customer_until_it_is_left(backoffice: Backoffice) -> None:
    add_customer(backoffice, "acme")
    client = backoffice.new_client()
    client.submit("/login", name="admin", password=PASSWORD)
    link = backoffice.access.customer_link("acme", days=7)
    assert client.get(urlsplit(link).path).headers["location"] == "/picker"
    assert client.get("/").headers["location"] == "/picker"
    assert "Jobs of <b>acme</b>" in client.get("/nothing").text
    assert client.get("/integrations").status_code == 404
    assert client.submit("/logout").headers["location"] == "/"
    assert role_of(client) == "admin"


@pytest.mark.parametrize("customer_id", ["acme", "Größe & Söhne/1?#", "a" * 300])
def test_a_customers_link_carries_any_id(backoffice: Backoffice, customer_id: str) -> None:
    client = backoffice.new_client()
    answer = client.get(urlsplit(backoffice.access.customer_link(customer_id)).path)
    assert answer.headers["location"] == "/picker"
    assert client.get("/").headers["location"] == "/picker"


def test_a_link_that_expired_was_forged_or_cut_opens_nothing(backoffice: Backoffice, client: Client) -> None:
    access = backoffice.access
    other = Access(backoffice_settings(backoffice_secret="another secret, of more than 32 characters"))
    good = access.customer_link("acme").rpartition("/")[2]
    bad = [
        access.customer_link("acme", days=-0.001).rpartition("/")[2],
        other.customer_link("acme").rpartition("/")[2],
        access.signer("notice").dumps({"customer": "acme", "until": time.time() + 60}),
        good[:-1],
        "x" + good,
        good.partition(".")[0],
        "x",
    ]
    for token in bad:
        answer = client.get(f"/c/{token}")
        assert answer.status_code == 404
        assert "does not open anything" in answer.text
        assert "set-cookie" not in answer.headers
        client.cookies["kombo_customer"] = token
        assert role_of(client) is None
        client.cookies.clear()


# Without a secret; behind a proxy


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_without_a_secret_that_cannot_be_guessed_it_does_not_start(secret: str | None) -> None:
    with pytest.raises(ValueError, match="KOMBO_BACKOFFICE_SECRET needs 32 random characters or more"):
        app.app(
            warehouse_url="postgresql://nowhere/x",
            settings=backoffice_settings(backoffice_secret=secret),
        )


def test_behind_a_proxy_its_header_decides_and_passwords_do_not(
    backoffice: Backoffice, module_warehouse_url: str, hashed_password: str
) -> None:
    with backoffice.connect() as conn:
        users.put_user(conn, "eve@example.com", role="reviewer", password_hash=None)
        users.put_user(conn, "gone@example.com", role="admin", password_hash=hashed_password)
        users.disable_user(conn, "gone@example.com")
    with running_backoffice(module_warehouse_url, backoffice_proxy_header="X-Forwarded-User") as url:
        client = backoffice.new_client()
        client.base_url = url

        def role(*headers: tuple[str, str]) -> Any:
            answer = client.get("/", headers=list(headers))
            return answer.headers.get("location", answer.status_code)

        assert role(("X-Forwarded-User", "eve@example.com")) == "/review"
        assert role(("x-forwarded-user", "eve@example.com")) == "/review"
        assert role() == 401
        assert role(("X-Forwarded-User", "")) == 401
        assert role(("X-Forwarded-User", "gone@example.com")) == 401
        assert role(("X-Forwarded-User", "nobody@example.com")) == 401
        assert role(("X-Forwarded-User", "eve@example.com"), ("X-Forwarded-User", "admin")) == 400
        client.cookies["kombo_session"] = backoffice.client("admin").cookies["kombo_session"]
        assert role() == 401
        client.cookies.clear()
        assert client.get("/login").status_code == 404
        assert client.submit("/login", name="admin", password=PASSWORD).status_code == 404
        link = backoffice.access.customer_link("acme")
        assert client.get(urlsplit(link).path).headers["location"] == "/picker"


@pytest.mark.parametrize(
    ("trusted", "is_believed"),
    [((), True), (("127.0.0.1/32",), True), (("10.0.0.0/8", "127.0.0.0/30"), True), (("10.0.0.0/8",), False),
     (("::1/128",), False)],
)  # fmt: skip
def test_the_users_name_is_believed_only_from_a_trusted_proxy(
    backoffice: Backoffice, module_warehouse_url: str, trusted: tuple[str, ...], is_believed: bool
) -> None:
    values = {"backoffice_proxy_header": "X-Forwarded-User", "trusted_proxies": tuple(map(ip_network, trusted))}
    with running_backoffice(module_warehouse_url, **values) as url:
        client = backoffice.new_client()
        client.base_url = url
        for chain in (None, "127.0.0.1", "10.0.0.1, 127.0.0.1", "garbage"):
            headers = {"X-Forwarded-User": "admin"} | ({"X-Forwarded-For": chain} if chain else {})
            answer = client.get("/", headers=headers)
            assert answer.status_code == (303 if is_believed else 401)
            if not is_believed:
                assert "did not come through a proxy of KOMBO_TRUSTED_PROXIES" in answer.text
        both = [("X-Forwarded-User", "admin"), ("X-Forwarded-User", "eve")]
        assert client.get("/", headers=both).status_code == (400 if is_believed else 401)


def test_behind_a_proxy_the_token_of_a_form_is_of_one_browser_and_one_session(
    backoffice: Backoffice, module_warehouse_url: str
) -> None:
    with running_backoffice(module_warehouse_url, backoffice_proxy_header="X-Forwarded-User") as url:

        def browser(user: str) -> Client:
            client = backoffice.new_client()
            client.base_url, client.headers["X-Forwarded-User"] = url, user
            return client

        def token(client: Client) -> str:
            return client.get("/review").text.partition('name="csrf_token" value="')[2].partition('"')[0]

        def post(client: Client, csrf_token: str) -> int:
            return client.post("/own-jobs/withdraw", data={"csrf_token": csrf_token}).status_code

        first, second, other = browser("admin"), browser("admin"), browser("reviewer")
        tokens = [token(client) for client in (first, second, other)]
        assert len(set(tokens)) == 3
        assert all(len(each) == 64 for each in tokens)
        assert token(first) == tokens[0], "the same as long as the session lasts"
        assert [post(first, each) for each in tokens] == [404, 403, 403]
        assert post(browser("admin"), tokens[0]) == 403, "without the cookie"
        switched = browser("reviewer")
        switched.cookies.update(first.cookies)
        assert post(switched, tokens[0]) == 403, "another user with the same cookie"
        assert first.post("/logout", data={"csrf_token": tokens[0]}).status_code == 303
        assert "kombo_form" not in first.cookies
        later = token(first)
        assert later != tokens[0]
        answer = first.post("/own-jobs/withdraw", data={"csrf_token": tokens[0]})
        assert answer.status_code == 403
        assert "form is of an earlier session" in answer.text
        assert post(first, later) == 404


def test_a_form_that_was_open_in_another_tab_says_what_happened_meanwhile(backoffice: Backoffice) -> None:
    browser = backoffice.new_client()

    def tab() -> dict[str, str]:
        return {"csrf_token": browser.csrf_token, "own_job_id": "x", "customer": "x"}

    browser.submit("/login", name="reviewer", password=PASSWORD)
    first = tab()
    browser.submit("/logout")
    signed_out = browser.post("/own-jobs/withdraw", data=first)
    assert signed_out.status_code == 401
    assert "You are signed out; nothing was saved." in signed_out.text
    assert browser.post("/logout", data=first).headers["location"] == "/login", "signing out twice is none too many"
    browser.submit("/login", name="reviewer", password=PASSWORD)
    again = browser.post("/own-jobs/withdraw", data=first)
    assert again.status_code == 403
    assert "This form is of an earlier session; nothing was saved." in again.text
    assert browser.post("/own-jobs/withdraw", data=tab()).status_code == 404, "a form of this session is read"
    second = tab()
    browser.submit("/login", name="admin", password=PASSWORD)
    assert browser.post("/own-jobs/withdraw", data=second).status_code == 403, "of another user"
    link = backoffice.access.customer_link("acme")
    third = tab()
    browser.get(urlsplit(link).path)
    assert browser.post("/picker/choose", data=third).status_code == 403, "of staff, in a customer's view"


# Failures


def test_without_a_warehouse_every_page_says_so(backoffice: Backoffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WAIT_SECONDS", 1)
    with running_backoffice("postgresql://nobody@127.0.0.1:1/nothing") as url:
        client = backoffice.new_client()
        client.base_url = url
        client.cookies["kombo_session"] = "x"
        answer = client.get("/")
        assert answer.status_code == 503
        assert "The database does not answer" in answer.text
        assert answer.headers["retry-after"] == "5"
        assert client.get("/healthz").status_code == 503
        client.cookies.clear()
        answer = client.submit("/login", name="viewer", password=PASSWORD)
        assert answer.status_code == 503
        assert PASSWORD not in answer.text
    assert backoffice.client(None).get("/healthz").status_code == 200


# In a browser


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_sign_in_and_error_pages_are_accessible(page_as: Callable[..., Page], color_scheme: str) -> None:
    page = page_as(color_scheme=color_scheme)
    page.goto("/login")
    assert_accessible(page)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    assert_accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    page.goto("/a-page-that-is-not")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert_accessible(page)


def test_signing_in_works_on_a_phone_without_scripts_and_by_keyboard_alone(page_as: Callable[..., Page]) -> None:
    page = page_as(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("viewer")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    width = page.locator("body").bounding_box()
    assert width and width["width"] <= 320
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_customers_link_opens_in_a_browser_that_comes_from_a_mail(
    page_as: Callable[..., Page], backoffice: Backoffice
) -> None:
    page = page_as()
    page.goto(backoffice.access.customer_link("acme"))
    page.wait_for_url("**/picker")
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
