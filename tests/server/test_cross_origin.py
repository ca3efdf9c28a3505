"""Keys that lie open in web pages: one list of sites, asking only, with limits; no other key gains by it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from sillar.errors import ConfigError
from sillar.server.auth import Client, KeyStore
from tests.server.live import Live, live_server

SHOP, EVIL = "https://shop.example", "https://evil.example"
ASK = {"question": "When do we open?"}


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text("# Hours\n\nWe open at nine.\n")
    asks = frozenset({"ask"})
    keys = {
        digest("widget"): Client("widget", "shop", asks, origins=frozenset({SHOP})),
        digest("slow"): Client("slow", "shop", asks, 0, 0, 2, frozenset({SHOP})),
        digest("staff"): Client("staff", "staff"),
    }
    with live_server(documents=folder, keys=KeyStore(keys)) as server:
        yield server


def post(
    live: Live, key: str, origin: str | None, path: str = "/v1/ask", body: object = ASK
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} | ({"Origin": origin} if origin else {})
    return httpx.post(live.url + path, json=body, headers=headers)


def preflight(live: Live, origin: str, path: str = "/v1/ask") -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return httpx.options(live.url + path, headers=headers)


def test_the_key_works_from_its_site_and_the_site_may_read_the_answer(live: Live) -> None:
    asked = preflight(live, SHOP)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in asked.headers
    answer = post(live, "widget", SHOP)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["vary"] == "Origin"
    assert "set-cookie" not in answer.headers
    path = f"/v1/answers/{answer.json()['id']}/feedback"
    assert post(live, "widget", SHOP, path, {"vote": 1}).status_code == 200
    wrong = post(live, "widget", SHOP, body={"nothing": 1})  # errors can be read too
    assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (400, SHOP)


@pytest.mark.parametrize("origin", [EVIL, "null", SHOP + ".evil.example", "http://shop.example", None])
def test_the_key_works_from_nowhere_else(live: Live, origin: str | None) -> None:
    answer = post(live, "widget", origin)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    if origin:
        refused = preflight(live, origin)
        assert refused.status_code == 401
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    "path",
    ["/v1/documents", "/v1/jobs", "/v1/insights", "/v1/tickets", "/v1/tickets.csv", "/v1/feedback.json",
     "/v1/suggestions", "/v1/models", "/v1/me", "/metrics", "/ready", "/v1/documents/1/text?start=0&end=1"],
)  # fmt: skip
def test_the_key_reads_nothing(live: Live, path: str) -> None:
    headers = {"Authorization": "Bearer widget", "Origin": SHOP}
    assert httpx.get(live.url + path, headers=headers).status_code == 403
    assert preflight(live, SHOP, path).status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/documents?name=a.md"]
)
def test_the_key_generates_and_uploads_nothing(live: Live, path: str) -> None:
    assert post(live, "widget", SHOP, path, {}).status_code == 403


def test_other_keys_stay_out_of_reach_of_web_pages(live: Live) -> None:
    answer = post(live, "staff", SHOP)
    assert answer.status_code == 200  # whoever holds it may; but no page gets to read it
    assert "access-control-allow-origin" not in answer.headers


def test_one_visitor_has_a_share_of_the_keys_rate(live: Live) -> None:
    statuses = [post(live, "slow", SHOP).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = post(live, "slow", SHOP)
    assert refused.headers["access-control-allow-origin"] == SHOP
    assert int(refused.headers["retry-after"]) >= 1


def test_the_script_may_be_loaded_by_other_sites_and_nothing_else_may(live: Live) -> None:
    assert httpx.get(f"{live.url}/widget.js").headers["cross-origin-resource-policy"] == "cross-origin"
    for path in ("/", "/js/main.js"):
        assert httpx.get(live.url + path).headers["cross-origin-resource-policy"] == "same-origin"


def entry(tmp_path: Path, lines: str) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(f'[[key]]\nname = "w"\nsha256 = "{digest("w")}"\n{lines}\n')
    return path


def test_a_key_of_web_pages_has_limits_even_where_none_are_written(tmp_path: Path) -> None:
    client = KeyStore.read(entry(tmp_path, f'origins = ["{SHOP}"]')).find("w")
    assert client is not None
    assert (client.scopes, client.origins) == (frozenset({"ask"}), frozenset({SHOP}))
    assert min(client.requests_per_minute, client.concurrent, client.visitor_requests_per_minute) > 0


@pytest.mark.parametrize(
    "lines",
    [
        f'origins = ["{SHOP}"]\nscopes = ["ask", "documents"]',
        'origins = ["*"]',
        'origins = ["https://*.example"]',
        'origins = ["https://shop.example/"]',
        'origins = ["https://Shop.example"]',
        'origins = ["shop.example"]',
        'origins = ["https://user@shop.example"]',
    ],
)
def test_a_file_that_would_open_more_is_refused(tmp_path: Path, lines: str) -> None:
    with pytest.raises(ConfigError):
        KeyStore.read(entry(tmp_path, lines))
