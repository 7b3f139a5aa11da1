"""What a server without a sign-in answers, and what it refuses: tables of heads, tried on a running server."""

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from kombo_pipeline.serving.same_origin import SameOrigin

JSON = ("Content-Type", "application/json")
PUBLIC = "dagster.example.com"
HOSTS = [PUBLIC, "https://secure.example.com", "[2001:DB8::1]", "http://inner:3000/dagster"]


async def _told(_: object) -> PlainTextResponse:
    return PlainTextResponse("told")


async def _socket(websocket: object) -> None:
    await websocket.accept()  # type: ignore[attr-defined]
    await websocket.close()  # type: ignore[attr-defined]


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    routes = [Route("/", _told, methods=["GET", "POST", "DELETE", "OPTIONS"]), WebSocketRoute("/", _socket)]
    with served(SameOrigin(Starlette(routes=routes), hosts=HOSTS, setting="THE_SETTING")) as found:
        yield found


Head = Sequence[tuple[str, str]]


def asked(port: int, method: str, headers: Head, body: bytes = b"{}") -> tuple[int, str]:
    """The status and the text that a head with exactly these lines is answered with; PORT stands for the port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, "/", skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.replace("PORT", str(port)))
    if method == "POST" and body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body if method == "POST" else None)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def own(*more: tuple[str, str]) -> Head:
    return [("Host", "127.0.0.1:PORT"), *more]


OWN_HOSTS = [
    *("127.0.0.1:PORT", "localhost:PORT", "localhost", "LOCALHOST:PORT", "localhost.:PORT", "LocalHost.", "[::1]:PORT"),
    *("[::1]", "[0:0:0:0:0:0:0:1]:PORT", "127.0.0.1", "localhost:1", "localhost:65535", PUBLIC, f"{PUBLIC}:443"),
    *("DAGSTER.example.COM", f"{PUBLIC}.", "secure.example.com", "[2001:db8:0:0::1]:3000", "inner:3000", "inner"),
]
FOREIGN_HOSTS = [
    *("evil.example", "evil.example:PORT", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example.", ""),
    *("127.0.0.1.nip.io", "127.0.0.2", "10.0.0.1", "0.0.0.0", "0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
    *("localhost..", ".localhost", "local_host", "localhostx", "xlocalhost", "sub.localhost", "localhost%2eevil"),
    *("localhost:x", "localhost:", "localhost:99999", "localhost:-1", "localhost:80:80", "localhost@evil.example"),
    *("evil.example@localhost", "localhost/evil", "localhost,evil.example", "localhost evil", "localhost\\evil"),
    *("[::]", "[::2]", "[::1", "::1", "[::ffff:127.0.0.1]", "[::1%25lo]", "[evil]", "http://localhost", "löcalhost"),
    *("sub.dagster.example.com", "dagster.example.com.evil", "example.com", "*", "null", "localhost#", "localhost?x"),
]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_the_hosts_of_the_list_are_answered_in_every_spelling(port: int, host: str) -> None:
    assert asked(port, "GET", [("Host", host)]) == (200, "told")
    assert asked(port, "POST", [("Host", host), JSON]) == (200, "told")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_any_other_host_is_refused_whatever_the_page_says_of_itself(port: int, host: str, method: str) -> None:
    """DNS rebinding: the page and its requests have the same foreign name, so the browser sees one site."""
    status, _ = asked(port, method, [("Host", host), JSON])
    assert status in (400, 403)
    rebound = [("Host", host), ("Origin", f"http://{host}"), ("Sec-Fetch-Site", "same-origin"), JSON]
    assert asked(port, method, rebound)[0] in (400, 403)


def test_a_refused_host_is_told_where_to_add_it(port: int) -> None:
    assert "add it to THE_SETTING" in asked(port, "GET", [("Host", "evil.example")])[1]


@pytest.mark.parametrize("heads", [[], [("Host", "localhost"), ("Host", "evil.example")], [("Host", "localhost")] * 2])
def test_no_host_and_two_of_them_are_refused(port: int, heads: Head) -> None:
    assert asked(port, "GET", heads)[0] in (400, 403)


FOREIGN_ORIGINS = [
    *("null", "http://evil.example", "https://evil.example:PORT", "http://127.0.0.1.evil.example:PORT", "NULL", ""),
    *("http://127.0.0.1", "http://127.0.0.1:1", "https://127.0.0.1:PORT", "http://localhost:PORT", "http://[::1]:PORT"),
    *(
        "file://",
        "data:",
        "chrome-extension://abcdefgh",
        "ftp://127.0.0.1:PORT",
        "ws://127.0.0.1:PORT",
        "127.0.0.1:PORT",
    ),
    *("http://127.0.0.1:PORT@evil.example", "http://evil.example#127.0.0.1:PORT", "http://127.0.0.1:PORT,http://evil"),
    *(
        "http://127.0.0.1:PORT http://evil.example",
        "http:/127.0.0.1:PORT",
        "http://127.0.0.1:PORT/",
        "//127.0.0.1:PORT",
    ),
    *(
        "http://127.0.0.1:PORTx",
        "http://0.0.0.0:PORT",
        "http://127.0.0.2:PORT",
        "about:blank",
        "blob:http://127.0.0.1:PORT",
    ),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_an_origin_that_is_not_the_host_is_refused(port: int, origin: str, method: str) -> None:
    assert asked(port, method, own(("Origin", origin), JSON))[0] == 403


def test_two_origins_are_refused_even_when_both_are_right(port: int) -> None:
    assert asked(port, "POST", own(*[("Origin", "http://127.0.0.1:PORT")] * 2, JSON))[0] == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT", 200),
        ("LOCALHOST:PORT", "http://localhost:PORT", 200),
        ("[::1]:PORT", "http://[::1]:PORT", 200),
        ("localhost.:PORT", "http://localhost.:PORT", 200),
        # Behind a proxy that ends TLS; default ports are left out by browsers, and by some proxies written.
        (PUBLIC, f"https://{PUBLIC}", 200),
        (f"{PUBLIC}:443", f"https://{PUBLIC}", 200),
        (PUBLIC, f"http://{PUBLIC}", 200),
        (f"{PUBLIC}:8443", f"https://{PUBLIC}:8443", 200),
        (PUBLIC, f"https://{PUBLIC}:8443", 403),
        (PUBLIC, "https://secure.example.com", 403),
        ("secure.example.com", "https://secure.example.com", 200),
        ("secure.example.com", "http://secure.example.com", 403),
        ("inner:3000", "http://inner:3000", 200),
        ("inner:3000", "https://inner:3000", 403),
    ],
)
def test_the_origin_is_compared_with_the_host_of_the_request(port: int, host: str, origin: str, status: int) -> None:
    assert asked(port, "POST", [("Host", host), ("Origin", origin), JSON])[0] == status


@pytest.mark.parametrize(
    ("referer", "status"),
    [
        ("http://127.0.0.1:PORT/runs?x=http://evil.example", 200),
        ("http://evil.example/", 403),
        ("http://evil.example/http://127.0.0.1:PORT/", 403),
        ("http://evil.example?http://127.0.0.1:PORT", 403),
        ("http://127.0.0.1:PORT@evil.example/", 403),
        ("https://127.0.0.1:PORT/", 403),
        ("about:blank", 403),
        ("", 403),
    ],
)
def test_without_an_origin_the_referer_decides_about_what_changes_something(
    port: int, referer: str, status: int
) -> None:
    assert asked(port, "POST", own(("Referer", referer), JSON))[0] == status
    # A link on another site leads here with its Referer, and older browsers send nothing else.
    assert asked(port, "GET", own(("Referer", referer)))[0] == 200


def test_an_origin_is_believed_before_a_referer(port: int) -> None:
    heads = own(("Origin", "http://evil.example"), ("Referer", "http://127.0.0.1:PORT/"), JSON)
    assert asked(port, "POST", heads)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "SAME-ORIGIN", "", "x", "none, cross-site"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        *(("no-cors", "image"), ("no-cors", "script"), ("no-cors", "empty"), ("cors", "empty"), ("navigate", "iframe")),
        *(("navigate", "object"), ("navigate", "embed"), ("websocket", "websocket"), ("", ""), ("no-cors", "document")),
    ],
)
def test_what_a_browser_says_to_come_from_another_site_is_refused(port: int, site: str, mode: str, dest: str) -> None:
    heads = own(("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest), JSON)
    assert asked(port, "GET", heads)[0] == 403
    assert asked(port, "POST", heads)[0] == 403


def test_only_a_link_to_a_page_may_come_from_another_site(port: int) -> None:
    link = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
    assert asked(port, "GET", own(*link))[0] == 200
    assert asked(port, "POST", own(*link, JSON))[0] == 403
    assert asked(port, "GET", own(*link, ("Origin", "http://evil.example")))[0] == 403
    assert asked(port, "GET", own(*link, ("Sec-Fetch-Site", "same-origin")))[0] == 200
    assert asked(port, "POST", own(*link, ("Sec-Fetch-Site", "same-origin"), JSON))[0] == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_page_of_its_own_and_an_address_that_somebody_typed_are_answered(port: int, site: str) -> None:
    fetch = (("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"))
    assert asked(port, "GET", own(*fetch)) == (200, "told")
    assert asked(port, "POST", own(*fetch, ("Origin", "http://127.0.0.1:PORT"), JSON)) == (200, "told")


JSON_TYPES = ["application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x=y"]
OTHER_TYPES = [
    *("text/plain", "text/plain; charset=application/json", "application/x-www-form-urlencoded", "multipart/form-data"),
    *("multipart/form-data; boundary=application/json", "text/plain;application/json", "application/graphql", "", "x"),
    *("application/json, text/plain", "application/jsonx", "xapplication/json", "text/json", "application/ld+json"),
]


@pytest.mark.parametrize("kind", JSON_TYPES)
def test_json_by_post_is_answered(port: int, kind: str) -> None:
    assert asked(port, "POST", own(("Content-Type", kind))) == (200, "told")


@pytest.mark.parametrize("kind", OTHER_TYPES)
@pytest.mark.parametrize("body", [b"{}", b""])
def test_what_a_form_of_another_site_could_send_is_refused(port: int, kind: str, body: bytes) -> None:
    status, text = asked(port, "POST", own(("Content-Type", kind)), body)
    assert (status, "application/json" in text) == (415, True)


def test_a_body_needs_a_type_and_only_one(port: int) -> None:
    assert asked(port, "POST", own())[0] == 415
    assert asked(port, "POST", own(("Transfer-Encoding", "chunked")), b"")[0] == 415
    assert asked(port, "POST", own(JSON, ("Content-Type", "text/plain")))[0] == 415
    assert asked(port, "POST", own(), b"") == (200, "told")


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PUT", "PATCH", "TRACE", "FOO", "get"])
def test_other_methods_are_refused_and_no_preflight_is_granted(port: int, method: str) -> None:
    assert asked(port, method, own(("Access-Control-Request-Method", "POST")))[0] in (400, 405)


def handshake(port: int, headers: Head) -> int:
    key = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"))
    lines = [*headers, *key, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    told = "".join(f"{name}: {value}\r\n" for name, value in lines).replace("PORT", str(port))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET / HTTP/1.1\r\n{told}\r\n".encode("latin-1"))
        return int(client.recv(4096).split()[1])


def test_a_websocket_is_opened_for_a_page_of_its_own_and_for_programs(port: int) -> None:
    assert handshake(port, own()) == 101
    assert handshake(port, own(("Origin", "http://127.0.0.1:PORT"))) == 101
    assert handshake(port, own(("Origin", "http://127.0.0.1:PORT"), ("Sec-Fetch-Site", "same-origin"))) == 101
    assert handshake(port, [("Host", PUBLIC), ("Origin", f"https://{PUBLIC}")]) == 101


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_websocket_is_refused_to_a_foreign_page(port: int, origin: str) -> None:
    assert handshake(port, own(("Origin", origin))) in (400, 403)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_websocket_is_refused_under_a_foreign_host(port: int, host: str) -> None:
    assert handshake(port, [("Host", host)]) in (400, 403)
    assert handshake(port, [("Host", host), ("Origin", f"http://{host}")]) in (400, 403)


def test_a_websocket_that_another_site_opens_is_refused_although_its_origin_is_not_sent(port: int) -> None:
    link = (("Sec-Fetch-Mode", "websocket"), ("Sec-Fetch-Dest", "websocket"))
    assert handshake(port, own(("Sec-Fetch-Site", "cross-site"), *link)) == 403


@pytest.mark.parametrize("host", ["*", "*.example.com", "evil example", "http://", "ftp://x", "a,b", "[x]", "x:y"])
def test_what_is_no_host_name_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ValueError, match=r"THE_SETTING: .* is no host name; write one"):
        SameOrigin(Starlette(), hosts=[host], setting="THE_SETTING")


@given(
    st.lists(
        st.sampled_from(
            ["localhost", "127.0.0.1", "[::1]", "evil", ".", ":", "80", "@", "/", "#", "%", "\\", " ", "0"]
        ),
        min_size=1,
        max_size=5,
    ).map("".join)
)
@example(host=" localhost ")
@example(host="localhost\t")
def test_of_anything_composed_around_an_own_name_only_the_name_and_a_port_are_answered(port: int, host: str) -> None:
    # Blanks around the value of a header are none of it.
    own_name = re.fullmatch(r"(localhost\.?|127\.0\.0\.1\.?|\[::1\])(:(?P<port>[0-9]{1,5}))?", host.strip(" \t"))
    is_own = own_name is not None and int(own_name["port"] or 0) <= 65_535
    assert (asked(port, "GET", [("Host", host)])[0] == 200) == is_own
