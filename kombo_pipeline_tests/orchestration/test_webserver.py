"""Dagster's webserver as the command serves it: what other sites cannot do to it, and what its own pages can."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from kombo_pipeline.backoffice.runs import Dagster
from kombo_pipeline_tests.orchestration.webservers import PROJECT, running_webserver

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PUBLIC = "dagster.example.com"
ADD = """mutation {
  addDynamicPartition(
    partitionKey: "KEY", partitionsDefName: "integration",
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "kombo_pipeline"}
  ) { __typename }
}"""
PARTITIONS = """{
  assetNodeOrError(assetKey: {path: ["jobs"]}) { ... on AssetNode { partitionKeys } }
}"""


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("dagster")
    with running_webserver(home, KOMBO_DAGSTER_HOSTS=PUBLIC) as url:
        yield url


def asked(webserver: str, query: str, **more: Any) -> Any:
    answer = httpx.post(f"{webserver}/graphql", json={"query": query}, timeout=60, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def partitions(webserver: str) -> list[str]:
    return list(asked(webserver, PARTITIONS)["assetNodeOrError"]["partitionKeys"])


def mutation(key: str) -> str:
    return " ".join(ADD.replace("KEY", key).split())


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
ATTACKS: dict[str, tuple[str, dict[str, str], str, str]] = {
    # name: method, head, what follows /graphql, body; QUERY is the mutation, JSONED the same as JSON
    "image": ("GET", IMAGE, "?query=QUERY", ""),
    "image of an old browser": ("GET", {"Accept": "image/*"}, "?query=QUERY", ""),
    "link": ("GET", LINK | {"Accept": "text/html"}, "?query=QUERY", ""),
    "link that wants no page": ("GET", LINK, "?query=QUERY", ""),
    "get without a head": ("GET", {}, "?query=QUERY", ""),
    "get with JSON": ("GET", JSON, "?query=QUERY", "JSONED"),
    "get with encoded names": ("GET", {}, "?qu%65ry=QUERY", ""),
    "get with a slash": ("GET", {}, "/?query=QUERY", ""),
    "get with a line end": ("GET", {}, "%0A?query=QUERY", ""),
    "get of a page": ("GET", {"Sec-Fetch-Site": "same-origin"}, "?query=QUERY", ""),
    "head": ("HEAD", {}, "?query=QUERY", ""),
    "form": ("POST", FORM, "?query=QUERY", "query=QUERY"),
    "form without a query": ("POST", FORM, "", "query=QUERY"),
    "plain form": ("POST", {"Content-Type": "text/plain"}, "", "JSONED"),
    "plain form with the word": ("POST", {"Content-Type": "text/plain; application/json"}, "", "JSONED"),
    "form of parts": ("POST", {"Content-Type": "multipart/form-data; boundary=application/json"}, "", "JSONED"),
    "graphql as such": ("POST", {"Content-Type": "application/graphql"}, "", "QUERY"),
    "beacon": ("POST", {}, "?query=QUERY", ""),
    "beacon of JSON": ("POST", {}, "", "JSONED"),
    "JSON in capitals": ("POST", {"Content-Type": "APPLICATION/JSON"}, "?query=QUERY", "JSONED"),
    "no body": ("POST", JSON, "?query=QUERY", ""),
    "foreign page": ("POST", JSON | {"Origin": "http://evil.example"}, "", "JSONED"),
    "foreign page by https": ("POST", JSON | {"Origin": "https://127.0.0.1:PORT"}, "", "JSONED"),
    "another port": ("POST", JSON | {"Origin": "http://127.0.0.1:1"}, "", "JSONED"),
    "page without an origin": ("POST", JSON | {"Origin": "null"}, "", "JSONED"),
    "old browser": ("POST", JSON | {"Referer": "http://evil.example/"}, "", "JSONED"),
    "same site, other port": ("POST", JSON | {"Sec-Fetch-Site": "same-site"}, "", "JSONED"),
    "form that navigates": ("POST", JSON | LINK, "", "JSONED"),
    "rebinding": ("POST", JSON | {"Host": "evil.example", "Origin": "http://evil.example"}, "", "JSONED"),
    "rebinding to the port": ("POST", JSON | {"Host": "evil.example:PORT"}, "", "JSONED"),
    "rebinding with a proxy": ("POST", JSON | {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1"}, "", "JSONED"),
    "foreign page of a proxy": ("POST", JSON | {"Host": PUBLIC, "Origin": "https://evil.example"}, "", "JSONED"),
    "batch": ("POST", JSON, "", "[JSONED]"),
    "batch of two": ("POST", JSON, "", "[JSONED, JSONED]"),
    "put": ("PUT", JSON, "", "JSONED"),
    "preflight": ("OPTIONS", {"Access-Control-Request-Method": "POST", "Origin": "http://evil.example"}, "", ""),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_request_of_another_site_changes_anything(webserver: str, name: str) -> None:
    method, head, address, body = ATTACKS[name]
    key = "".join(letter for letter in name if letter.isalnum())
    port = str(urlsplit(webserver).port)
    jsoned = json.dumps({"query": mutation(key)})
    answer = httpx.request(
        method,
        f"{webserver}/graphql{address.replace('QUERY', quote(mutation(key)))}",
        headers={each: value.replace("PORT", port) for each, value in head.items()},
        content=body.replace("JSONED", jsoned).replace("QUERY", mutation(key)).encode(),
        timeout=60,
    )
    assert answer.status_code < 500, answer.text
    assert "access-control-allow-origin" not in answer.headers
    assert "AddDynamicPartitionSuccess" not in answer.text
    assert key not in partitions(webserver)
    harmless = ("get with a slash",)  # the page of the UI, at an address that is not Dagster's API
    assert (answer.status_code >= 400) == (name not in harmless), answer.text


@pytest.mark.parametrize(
    ("path", "head"),
    [("report_asset_materialization/jobs", FORM), ("report_asset_observation/jobs", {"Origin": "http://evil.example"})],
)
def test_no_foreign_form_reports_an_asset(webserver: str, path: str, head: dict[str, str]) -> None:
    answer = httpx.post(f"{webserver}/{path}?partition=x", headers=head, content=b"" if "Origin" in head else b"x=y")
    assert answer.status_code in (403, 415)


@pytest.mark.parametrize("path", ["/", "/server_info", "/runs", "/graphql", "/favicon.png", "/logs/x", "/no/such/page"])
def test_every_address_is_refused_under_a_foreign_host(webserver: str, path: str) -> None:
    answer = httpx.get(f"{webserver}{path}", headers={"Host": "evil.example", "Accept": "text/html"})
    assert (answer.status_code, "KOMBO_DAGSTER_HOSTS" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"Origin": "http://127.0.0.1:PORT"},
        {"Origin": "http://127.0.0.1:PORT", "Sec-Fetch-Site": "same-origin"},
        {"Host": "LOCALHOST:PORT", "Origin": "http://localhost:PORT"},
        {"Host": "[::1]:PORT", "Origin": "http://[::1]:PORT"},
        {"Host": PUBLIC, "Origin": f"https://{PUBLIC}", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_its_own_pages_and_programs_change_what_they_want(webserver: str, head: dict[str, str]) -> None:
    port = str(urlsplit(webserver).port)
    key = "own" + "".join(letter for letter in str(head) if letter.isalnum())
    answer = asked(webserver, mutation(key), headers={name: told.replace("PORT", port) for name, told in head.items()})
    assert answer["addDynamicPartition"]["__typename"] == "AddDynamicPartitionSuccess"
    assert key in partitions(webserver)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "null", "[]", "1", '"x"', "{}", '{"query": null}', '{"query": 1}', '{"query": ["{version}"]}'),
        *('{"query": "{version}", "variables": 1}', '{"query": "{version}", "operationName": {}}', "[" * 100_000),
        *("\ufeff{}", '{"query": "{"}', '{"query": "{nothing}"}', '{"query": "{version}", "variables": "{"}'),
    ],
)
def test_a_body_that_is_no_query_is_answered_with_what_to_send(webserver: str, body: str) -> None:
    answer = httpx.post(f"{webserver}/graphql", headers=JSON, content=body.encode(), timeout=60)
    assert answer.status_code == 400
    assert answer.text


def test_bytes_that_are_no_text_are_no_query(webserver: str) -> None:
    assert httpx.post(f"{webserver}/graphql", headers=JSON, content=b'{"query": "\xff\xfe"}').status_code == 400


def test_nobody_fills_its_memory_with_a_head(webserver: str) -> None:
    """It is served as the receiver and the back office are; their limits are tried in test_serving.py."""
    answer = httpx.get(webserver, headers={f"X-{number}": "a" * 10_000 for number in range(10)})
    assert answer.status_code == 431


def test_the_back_office_starts_runs_through_it(webserver: str) -> None:
    run = Dagster(webserver).fetch("greenhouse:webserver", full=True, by="ana")
    assert run.started
    [found] = asked(webserver, "{runsOrError(limit: 1) {... on Runs {results {runId status}}}}")["runsOrError"][
        "results"
    ]
    assert found == {"runId": run.run_id, "status": "QUEUED"}


# In a browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium; Debian: apt-get install chromium")
    # A name of the attacker that leads to this machine, as DNS rebinding makes it.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    arguments.append("--host-resolver-rules=MAP evil.example 127.0.0.1")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=arguments)
        yield browser.new_page(viewport={"width": 1400, "height": 900})
        browser.close()


@pytest.fixture(scope="module")
def evil(webserver: str) -> Iterator[str]:
    """A site of somebody else's with a page that tries everything a page can."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://evil.example:{server.server_address[1]}"
        server.shutdown()


ATTACK_OF_A_PAGE = """async ([target, queries]) => {
  const form = (name, kind, method) => {
    const frame = Object.assign(document.createElement('iframe'), {name});
    const made = Object.assign(document.createElement('form'),
      {action: target + (method == 'GET' ? '' : '?query=' + encodeURIComponent(queries[name])), method, enctype: kind});
    made.target = name;
    const field = document.createElement('input');
    [field.name, field.value] = method == 'GET'
      ? ['query', queries[name]]
      : ['{"query":' + JSON.stringify(queries[name]) + ',"x":"', '"}'];
    made.append(field);
    document.body.append(frame, made);
    made.submit();
  };
  const element = (kind, name, address) => {
    const made = document.createElement(kind);
    made[address] = target + '?query=' + encodeURIComponent(queries[name]);
    if (kind == 'link') made.rel = 'stylesheet';
    document.body.append(made);
  };
  element('img', 'img', 'src');
  element('script', 'script', 'src');
  element('link', 'link', 'href');
  element('iframe', 'iframe', 'src');
  element('video', 'video', 'src');
  element('object', 'object', 'data');
  form('plain', 'text/plain', 'POST');
  form('encoded', 'application/x-www-form-urlencoded', 'POST');
  form('parts', 'multipart/form-data', 'POST');
  form('get', '', 'GET');
  const body = name => JSON.stringify({query: queries[name]});
  const send = (name, options) => fetch(target, {method: 'POST', body: body(name), ...options}).catch(() => {});
  await send('simple', {mode: 'no-cors'});
  await send('json', {headers: {'Content-Type': 'application/json'}});
  await send('anonymous', {mode: 'no-cors', referrerPolicy: 'no-referrer'});
  await fetch(target + '?query=' + encodeURIComponent(queries['fetched']), {mode: 'no-cors'}).catch(() => {});
  navigator.sendBeacon(target, new Blob([body('beacon')], {type: 'text/plain'}));
  const sandboxed = document.createElement('iframe');
  sandboxed.sandbox = 'allow-scripts allow-forms';
  sandboxed.srcdoc = '<script>fetch(' + JSON.stringify(target) + ', {method: "POST", mode: "no-cors", body: '
    + JSON.stringify(body('null')).replaceAll('<', '\\\\u003c') + '})</' + 'script>';
  document.body.append(sandboxed);
  const socket = await new Promise(done => {
    const made = new WebSocket(target.replace('http', 'ws'), 'graphql-ws');
    made.onopen = () => done('open');
    made.onerror = () => done('refused');
  });
  await new Promise(done => setTimeout(done, 1500));
  return socket;
}"""
WAYS = [
    *("img", "script", "link", "iframe", "video", "object", "plain", "encoded", "parts", "get"),
    *("simple", "json", "anonymous", "fetched", "beacon", "null"),
]


@pytest.mark.slow
def test_a_page_of_another_site_does_nothing_in_dagster(page: Page, webserver: str, evil: str) -> None:
    page.goto(evil)
    queries = {way: mutation(f"page-{way}") for way in WAYS}
    assert page.evaluate(ATTACK_OF_A_PAGE, [f"{webserver}/graphql", queries]) == "refused"
    assert [key for key in partitions(webserver) if key.startswith("page-")] == []


@pytest.mark.slow
def test_a_page_whose_name_was_rebound_to_this_machine_does_nothing_in_dagster(
    page: Page, webserver: str, evil: str
) -> None:
    """Same origin for the browser: the page's own name leads to Dagster now."""
    rebound = f"http://evil.example:{urlsplit(webserver).port}"
    assert page.goto(rebound).status == 403
    queries = {way: mutation(f"page-{way}") for way in WAYS}
    assert page.evaluate(ATTACK_OF_A_PAGE, [f"{rebound}/graphql", queries]) == "refused"
    assert [key for key in partitions(webserver) if key.startswith("page-")] == []


@pytest.mark.slow
def test_the_ui_starts_a_run_and_shows_how_it_goes(page: Page, webserver: str, evil: str) -> None:
    """The pages, GraphQL by POST and the WebSocket that brings the log of a run."""
    wrong: list[str] = []
    frames: list[str] = []
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("websocket", lambda opened: opened.on("framereceived", lambda frame: frames.append(str(frame))))
    # As from a link in the back office, which is another site to the browser.
    page.goto(evil)
    target = f"{webserver}/locations/kombo_pipeline/jobs/check_freshness/playground"
    page.evaluate("address => { document.body.innerHTML = `<a href='${address}'>Dagster</a>`; }", target)
    page.get_by_role("link", name="Dagster").click()
    page.get_by_role("button", name="Launch run").click(timeout=60_000)
    expect(page.get_by_text("Run queued")).to_be_visible(timeout=60_000)
    deadline = time.monotonic() + 60
    while not any("pipelineRunLogs" in frame for frame in frames):
        assert time.monotonic() < deadline, frames
        page.wait_for_timeout(100)
    page.goto(f"{webserver}/assets")
    expect(page.get_by_text("raw_job_pages").first).to_be_visible(timeout=60_000)
    page.goto(f"{webserver}/graphql")
    expect(page.locator("#graphiql")).not_to_have_text("Loading...", timeout=60_000)
    assert wrong == []


@pytest.mark.slow
def test_no_mutation_goes_through_the_websocket(page: Page, webserver: str) -> None:
    page.goto(f"{webserver}/server_info")
    told = page.evaluate(
        """([address, query]) => new Promise(done => {
          const socket = new WebSocket(address, 'graphql-ws');
          socket.onopen = () => {
            socket.send(JSON.stringify({type: 'connection_init'}));
            socket.send(JSON.stringify({type: 'start', id: '1', payload: {query}}));
          };
          socket.onmessage = each => { if (JSON.parse(each.data).type != 'connection_ack') done(each.data); };
          socket.onclose = () => done('closed');
        })""",
        [f"{webserver.replace('http', 'ws')}/graphql", mutation("socket")],
    )
    assert "AddDynamicPartitionSuccess" not in told
    assert "socket" not in partitions(webserver)


# The command


@pytest.mark.long
def test_the_command_says_what_it_lacks_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    home = {"DAGSTER_HOME": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for variables, words, told in (
            ({}, [], "DAGSTER_HOME is not set; set it to the folder that holds dagster.yaml"),
            (home, ["-w", "nowhere.yaml"], "nowhere.yaml"),
            (home, ["--path-prefix", "dagster"], "--path-prefix begins with /"),
            (home, ["--port", port], "in use"),
            (home | {"KOMBO_DAGSTER_HOSTS": "*"}, ["--port", "0"], "KOMBO_DAGSTER_HOSTS: '*' is no host name"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "kombo_pipeline", "webserver", *words],
                cwd=tmp_path,
                env=environment | variables,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode != 0
            assert told in done.stderr
            assert "Traceback" not in done.stderr
