"""Keys, hosts, origins, sizes, limits: what a request passes before any route."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sillar.errors import ConfigError
from sillar.server.auth import Client, KeyStore, new_key
from sillar.server.errors import ApiError
from sillar.server.limits import ClientLimits
from sillar.server.options import Limits, ServerOptions
from tests.server.live import Live, live_server

ALICE, ALICE_HASH = new_key()
BOB, BOB_HASH = new_key()
BODY = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def locked() -> Iterator[Live]:
    """Two tenants; Bob may only embed, twice a minute."""
    keys = KeyStore(
        {
            ALICE_HASH: Client("alice", "acme"),
            BOB_HASH: Client("bob", "bobs", frozenset({"embed"}), requests_per_minute=2),
        }
    )
    with live_server(keys=keys, limits=Limits(body_bytes=10_000), public=("/page/*",)) as server:
        yield server


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_but_health_needs_a_key(locked: Live) -> None:
    assert httpx.get(f"{locked.url}/health").status_code == 200
    for path in ("/ready", "/metrics", "/v1/models", "/openapi.json", "/nothing", "//health", "/page"):
        answer = httpx.get(locked.url + path)
        assert answer.status_code == 401, path
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert httpx.post(f"{locked.url}/health").status_code == 401
    assert httpx.get(f"{locked.url}/page/x").status_code == 404  # public, and not there
    for key in ("wrong", ALICE[:-1], ALICE + "x", "\xff"):
        headers = {"Authorization": b"Bearer " + key.encode("latin-1")}
        assert httpx.post(f"{locked.url}/v1/chat/completions", json=BODY, headers=headers).status_code == 401


def test_a_key_opens_what_its_scopes_say(locked: Live) -> None:
    assert httpx.get(f"{locked.url}/v1/models", headers=bearer(ALICE)).status_code == 200
    assert httpx.get(f"{locked.url}/metrics", headers={"x-api-key": ALICE}).status_code == 200
    chat = f"{locked.url}/v1/chat/completions"
    assert httpx.post(chat, json=BODY, headers=bearer(ALICE)).status_code == 200
    refused = httpx.post(chat, json=BODY, headers=bearer(BOB))
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"


def test_tenants_do_not_see_each_other_s_prefixes(locked: Live) -> None:
    body = {"messages": [{"role": "user", "content": "shared " * 20}], "max_tokens": 2}

    def cached(server: Live, key: str) -> int:
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=bearer(key)).json()
        tokens: int = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
        return tokens

    keys = KeyStore({ALICE_HASH: Client("alice", "acme"), BOB_HASH: Client("bob", "bobs")})
    with live_server(keys=keys) as server:
        assert cached(server, ALICE) == 0
        assert cached(server, ALICE) > 100
        assert cached(server, BOB) == 0


def test_a_key_s_rate_is_limited(locked: Live) -> None:
    answers = [
        httpx.post(f"{locked.url}/v1/embeddings", json={"input": "x"}, headers=bearer(BOB)) for _ in range(4)
    ]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_buckets_refill_and_concurrency_is_bounded() -> None:
    now = [0.0]
    limits = ClientLimits(lambda: now[0])
    client = Client("c", "t", requests_per_minute=60, concurrent=2)
    for _ in range(60):
        with limits.admit(client):
            pass
    with pytest.raises(ApiError), limits.admit(client):
        pass
    now[0] = 3.0
    with limits.admit(client), limits.admit(client), pytest.raises(ApiError), limits.admit(client):
        pass


def test_large_bodies_are_refused_with_and_without_a_length(locked: Live) -> None:
    url = f"{locked.url}/v1/chat/completions"
    large = {"messages": [{"role": "user", "content": "x" * 20_000}]}
    assert httpx.post(url, json=large, headers=bearer(ALICE)).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 1000

    headers = {**bearer(ALICE), "content-type": "application/json"}
    assert httpx.post(url, content=pieces(), headers=headers).status_code == 413


def test_without_keys_only_this_machine_s_own_pages_get_in(live: Live) -> None:
    url = f"{live.url}/v1/models"
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(url, headers={"Host": f"evil.example@127.0.0.1:{live.port}"}).status_code == 403
    assert httpx.get(url, headers={"Origin": "http://evil.example"}).status_code == 403
    assert httpx.get(url, headers={"Origin": "null"}).status_code == 403
    assert httpx.get(url, headers={"Origin": live.url}).status_code == 200
    assert "access-control-allow-origin" not in httpx.get(url).headers


def test_other_addresses_need_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without API keys"):
        ServerOptions(host="0.0.0.0").check()
    ServerOptions(host="0.0.0.0", keys=tmp_path / "keys.toml").check()
    ServerOptions(host="::1").check()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[key]]\nname='a'",
        "[[key]]\nname='a'\nsha256='xyz'",
        f"[[key]]\nname='a'\nsha256='{ALICE_HASH}'\nscopes=['all']",
        f"[[key]]\nname='a'\nsha256='{ALICE_HASH}'\ncolour=1",
        f"[[key]]\nname='a'\nsha256='{ALICE_HASH}'\nconcurrent=-1",
        "key = 3",
    ],
)
def test_a_wrong_key_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        KeyStore.read(path)


def test_a_key_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f"[[key]]\nname='a'\nsha256='{ALICE_HASH}'\nscopes=['embed']\nconcurrent=3\n")
    store = KeyStore.read(path)
    assert store.find(ALICE) == Client("a", "a", frozenset({"embed"}), 0, 3)
    assert store.find(BOB) is None


def test_draining_refuses_new_work(live: Live) -> None:
    live.state.draining = True
    try:
        assert httpx.get(f"{live.url}/ready").status_code == 503
        assert httpx.get(f"{live.url}/health").status_code == 200
        answer = httpx.post(f"{live.url}/v1/chat/completions", json=BODY)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
    finally:
        live.state.draining = False


def test_metrics_tell_of_requests_and_engines(live: Live) -> None:
    threads = [
        threading.Thread(target=httpx.post, args=(f"{live.url}/v1/chat/completions",), kwargs={"json": BODY})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    httpx.get(f"{live.url}/made/up/path")
    text = httpx.get(f"{live.url}/metrics").text
    assert 'sillar_requests_total{route="/v1/chat/completions",status="200"}' in text
    assert "made/up" not in text
    assert 'sillar_generated_tokens_total{model="fake"}' in text
    assert 'sillar_time_to_first_token_seconds_count{model="fake"}' in text
    assert 'sillar_kv_blocks{model="fake"} 512.0' in text
