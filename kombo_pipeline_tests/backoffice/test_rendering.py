"""What pages share: foreign values become harmless, and no template breaks the rules that make them so."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kombo_pipeline.backoffice import rendering
from kombo_pipeline.backoffice.access import needs
from kombo_pipeline.own_jobs import feed
from kombo_pipeline_tests.backoffice.conftest import Backoffice, running_backoffice

TEMPLATES = sorted((rendering.HERE / "templates").glob("*"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://jobs.example.com/1?a=b#c", "https://jobs.example.com/1?a=b#c"),
        ("HTTP://jobs.example.com", "HTTP://jobs.example.com"),
        (" https://jobs.example.com/a b", "https://jobs.example.com/ab"),
        ("javascript:alert(1)", ""),
        ("JaVaScript:alert(1)", ""),
        ("java\tscript:alert(1)", ""),
        ("\x01javascript:alert(1)", ""),
        ("data:text/html,<script>alert(1)</script>", ""),
        ("vbscript:x", ""),
        ("//evil.example/x", ""),
        ("/local", ""),
        ("https:", ""),
        ("https:///x", ""),
        ("http://[x", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_link_leads_only_where_http_does(url: str | None, shown: str) -> None:
    assert rendering.safe_url(url) == shown


@given(st.text())
def test_whatever_comes_a_link_starts_with_http_and_a_path_is_ours(text: str) -> None:
    assert re.match(r"(https?://[^/]|$)", rendering.safe_url(text), re.IGNORECASE)
    path = rendering.local_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert "\n" not in path


def test_a_moment_is_shown_in_utc_with_its_distance() -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=UTC).astimezone()
    assert "2026-03-01 01:30 UTC</time>" in rendering.when(moment)
    assert ">3 h ago</time>" in rendering.ago(datetime.now(UTC) - timedelta(hours=3, minutes=5))
    assert ">in 2 d</time>" in rendering.ago(datetime.now(UTC) + timedelta(days=2, minutes=5))
    assert "–" in rendering.when(None) + rendering.ago(None)


def test_a_message_is_shown_once_and_only_as_it_was_written(backoffice: Backoffice) -> None:
    text = "2 jobs <b>exposed</b> " + "ü" * 2000
    request = Request({"type": "http", "headers": [], "app": _App(backoffice)})
    cookie = rendering.redirect(request, "/picker", message=text, kind="warning").headers["set-cookie"]
    value = cookie.partition("=")[2].partition(";")[0]
    assert len(cookie) < 4000
    client = backoffice.new_client()
    client.cookies["kombo_flash"] = value
    answer = client.get("/login")
    assert '<p class="notice warning" role="status" data-announce>2 jobs &lt;b&gt;exposed&lt;/b&gt; ü' in answer.text
    assert 'kombo_flash=""; ' in answer.headers["set-cookie"]
    client.cookies.clear()
    client.cookies["kombo_flash"] = value[:-2]
    assert "exposed" not in client.get("/login").text


class _App:
    """As much of an app as a redirect looks at."""

    def __init__(self, backoffice: Backoffice) -> None:
        self.state = self
        self.access = backoffice.access


_FOREIGN = re.compile(r"\{\{[^}]*\b(post_url|remote_url|\w*log_url|kombo_log|job_url)\b")


class _Rules(HTMLParser):
    """Collects what a template must not hold."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.broken: list[str] = []
        self._posts: list[bool] = []
        self._source = source
        self.feed(re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "hx-on", "hx-vals", "hx-vars") or name.startswith("hx-on"):
                self.broken.append(f"<{tag} {name}>: nothing inline, the CSP forbids it")
            if name in ("href", "src", "action", "formaction") and value and re.match(r"(https?:)?//", value):
                self.broken.append(f"<{tag} {name}={value}>: nothing from elsewhere")
            if name in ("href", "src") and _FOREIGN.match(value or "") and "safe_url" not in (value or ""):
                self.broken.append(f"<{tag} {name}={value}>: safe_url() first")
        if tag == "script" and not values.get("src"):
            self.broken.append("<script> without src")
        if tag == "style":
            self.broken.append("<style>")
        if values.get("target") == "_blank" and values.get("rel") != "noopener noreferrer":
            self.broken.append(f'<{tag} target="_blank"> without rel="noopener noreferrer"')


def broken_rules(source: str) -> list[str]:
    """What a template does that none may."""
    broken = _Rules(source).broken
    broken += [
        f"{found}: foreign values stay escaped" for found in re.findall(r"\|\s*safe\b|autoescape\s+false", source)
    ]
    # Quoted, so that a value with a blank in it does not become an attribute.
    broken += [f"{found}: unquoted" for found in re.findall(r"\s[\w-]+=\{\{[^}]*\}\}", source)]
    for form in re.findall(r"<form\b.*?</form>", source, re.DOTALL | re.IGNORECASE):
        opening = form.partition(">")[0]
        if 'method="post"' in opening and "csrf_field()" not in form and 'action="/login"' not in opening:
            broken.append(f"{opening}>: without csrf_field()")
    return broken


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_breaks_the_rules(path: Path) -> None:
    assert path.suffix == ".html"
    assert broken_rules(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ title|safe }}",
        "<b title={{ title }}>",
        '<a href="{{ job.post_url }}">',
        '<a href="https://elsewhere.example/">',
        '<b onclick="x()">',
        '<b hx-on:click="x()">',
        '<b style="color: red">',
        "<style>b {}</style>",
        "<script>x()</script>",
        '<a href="/x" target="_blank">',
        '<form method="post" action="/x"><button>x</button></form>',
    ],
)
def test_the_rules_see_what_breaks_them(source: str) -> None:
    assert len(broken_rules(source)) == 1


def test_every_value_is_escaped_whatever_the_template_is_called(backoffice: Backoffice) -> None:
    environment = rendering._templates()
    for name in ("x.html", "x.html.j2", "x.txt", ""):
        template = environment.from_string("{{ value }}")
        template.name = name
        assert template.render(value="<b>") == "&lt;b&gt;"


def test_a_failure_of_ours_is_a_page_that_tells_nothing_of_it(
    backoffice: Backoffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    @needs("viewer")
    def broken(_: Request) -> Response:
        raise RuntimeError("the secret of the trace")

    @needs("viewer")
    def unreadable(request: Request) -> Response:
        with rendering.warehouse(request) as conn:
            conn.execute("select %s", ("\0",))
        return Response()

    monkeypatch.setattr(feed, "routes", [Route("/broken", broken), Route("/unreadable", unreadable)])
    with running_backoffice(backoffice.warehouse_url) as url:
        client = backoffice.new_client()
        client.base_url = url
        client.headers["Connection"] = "close"  # the server closes it after a failure
        client.cookies["kombo_session"] = backoffice.client("viewer").cookies["kombo_session"]
        answer = client.get("/broken")
        assert (answer.status_code, "secret" in answer.text) == (500, False)
        assert "Something went wrong here" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert client.get("/unreadable").status_code == 400
