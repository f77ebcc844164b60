# SPDX-License-Identifier: Apache-2.0
"""One port, several tenants: who answers which request, and which requests of web pages are not answered."""

import re

import pytest

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"}
LIST = "/2015-03-31/functions"


def test_health_names_the_version(server):
    answer = server.http("GET", "/_sluice/health")
    assert answer.status == 200 and answer.json()["status"] == "ok"
    assert answer.json()["version"] == server.cli("version").stdout.split()[-1]


def test_what_is_nobodys_is_not_found(server):
    answer = server.http("GET", "/no/such/thing")
    assert answer.status == 404 and "Not Found" in answer.json()["message"]


def test_metrics_are_prometheus_text(server):
    answer = server.http("GET", "/_sluice/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in answer.text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.e]+', line), line


@pytest.mark.parametrize(
    "headers, host",
    [
        ({"Origin": "https://evil.example"}, None),
        ({"Origin": "null"}, None),
        ({"Origin": "http://evil.example:4566", **BROWSER}, "evil.example:4566"),
        (BROWSER, "evil.example:4566"),
        ({"Origin": "http://localhost.evil.example"}, None),
        ({"Origin": "http://127.0.0.1.evil.example"}, None),
    ],
)
@pytest.mark.parametrize("path", [LIST, "/_sluice/metrics", "/_sluice/logs?function=x"])
def test_foreign_pages_reach_neither_the_apis_nor_the_server(server, headers, host, path):
    answer = server.http("GET", path, headers=headers, host=host)
    assert answer.status == 403 and "web pages" in answer.json()["message"]


@pytest.mark.parametrize(
    "headers, host",
    [({}, "sluice.internal:4566"), (BROWSER, "localhost:4566"), ({"Origin": "http://localhost:3000", **BROWSER}, "localhost:4566"), ({}, None)],
)
def test_clients_and_local_pages_are_served(server, headers, host):
    assert server.http("GET", LIST, headers=headers, host=host).status == 200


def test_a_foreign_page_cannot_create_a_function_by_a_simple_request(server, lambda_):
    answer = server.http("POST", LIST, body=b"{}", headers={"Origin": "https://evil.example", "Content-Type": "text/plain"})
    assert answer.status == 403
    assert lambda_.list_functions()["Functions"] == []


def test_deployed_apis_are_open_to_pages(server):
    # Their own CORS settings decide what a page may read.
    answer = server.http("GET", "/_aws/execute-api/nosuchapi0/", headers={"Origin": "https://shop.example", **BROWSER})
    assert answer.status == 404 and answer.json() == {"message": "Not Found"}


def test_the_clock_is_not_there_without_the_option(server):
    assert server.http("POST", "/_sluice/clock?advance_ms=1000").status == 404


def test_logs_of_a_function_that_is_not_there(server):
    assert server.http("GET", "/_sluice/logs?function=nosuch").status == 404


def test_a_followed_log_shows_new_lines_and_does_not_hold_up_the_end(start_server):
    import http.client

    server = start_server()
    server.create_function("talks", {"index.py": "def handler(e, c): print('said', e)\n"})
    server.invoke("talks", 1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/_sluice/logs?function=talks&follow=1")
    answer = connection.getresponse()
    seen = b""
    while b"said 1\n" not in seen:
        seen += answer.read1()
    server.invoke("talks", 2)
    while b"said 2\n" not in seen:
        seen += answer.read1()
    assert server.stop() == 0
    answer.read()  # a proper end, not a broken stream
    connection.close()
