"""Login through a stand-in identity provider: code with PKCE, and every check that keeps strangers out."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from sillar.config import Config, OidcConfig
from sillar.errors import ConfigError
from sillar.server import oidc
from sillar.server.auth import KeyStore
from sillar.server.errors import ApiError
from sillar.server.options import ServerOptions
from tests.server.identity_provider import IdentityProvider, identity_provider
from tests.server.live import Live, free_port, live_server


@dataclass
class Places:
    live: Live
    provider: IdentityProvider
    browser: httpx.Client = field(default_factory=httpx.Client)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text("# Hours\n\nWe open at nine.\n")
    with identity_provider() as provider:
        port = free_port()
        settings = OidcConfig(
            issuer=provider.url,
            client_id="sillar",
            client_secret="secret",
            site=f"http://127.0.0.1:{port}",
            tenant="acme",
            scopes="ask",
            group_scopes="staff:documents",
        )
        config = Config(oidc=settings)
        with live_server(documents=folder, keys=KeyStore({}), config=config, port=port) as live:
            yield Places(live, provider)


@pytest.fixture
def places(running: Places) -> Iterator[Places]:
    """With a fresh browser, and a provider that behaves."""
    running.provider.reset()
    with httpx.Client(base_url=running.live.url) as browser:
        yield replace(running, browser=browser)


def log_in(places: Places) -> httpx.Response:
    """From the button to the answer of our callback."""
    sent = places.browser.get("/auth/login")
    assert sent.status_code == 303
    back = httpx.get(sent.headers["location"])  # the person agrees at the provider
    return places.browser.get(back.headers["location"])


def csrf(places: Places) -> str:
    return str(places.browser.get("/auth/session").json()["csrf"])


def test_a_person_logs_in_asks_and_logs_out(places: Places) -> None:
    assert places.browser.get("/v1/documents").status_code == 401
    assert places.browser.get("/auth/session").json() == {"person": None, "csrf": None}
    answer = log_in(places)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    [cookie] = [c for c in answer.headers.get_list("set-cookie") if c.startswith("sillar-session")]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # loopback only
    assert places.browser.get("/auth/session").json()["person"] == "Ana"
    assert places.browser.get("/v1/documents").json()["data"][0]["path"] == "handbook.md"
    token = {"X-CSRF-Token": csrf(places)}
    asked = places.browser.post("/v1/ask", json={"question": "When do we open?"}, headers=token)
    assert asked.status_code == 200
    old = places.browser.cookies["sillar-session"]
    assert places.browser.post("/auth/logout", headers=token).status_code == 200
    assert places.browser.get("/v1/documents").status_code == 401
    places.browser.cookies.set("sillar-session", old)
    assert places.browser.get("/v1/documents").status_code == 401  # ended here too, not only in the browser


def test_a_change_needs_the_pages_token_and_its_origin(places: Places) -> None:
    log_in(places)
    ask = {"question": "When do we open?"}
    token = csrf(places)
    for headers in (
        {},
        {"X-CSRF-Token": "wrong"},
        {"X-CSRF-Token": token, "Origin": "https://evil.example"},
        {"X-CSRF-Token": token, "Origin": "null"},
    ):
        refused = places.browser.post("/v1/ask", json=ask, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "csrf")
    crossing = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert places.browser.post("/v1/ask", json=ask, headers=crossing).status_code == 401
    assert places.browser.get("/v1/documents", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["sillar", "another"], "azp": "another"},
        {"exp": 1000},
        {"nonce": "of another login"},
        {"nonce": None},
        {"sub": None},
        {"iat": int(time.time()) + 3600},
    ],
    ids=str,
)
def test_a_token_that_does_not_fit_is_refused(places: Places, wrong: dict[str, Any]) -> None:
    places.provider.changes = wrong
    assert log_in(places).status_code == 401
    assert places.browser.get("/v1/documents").status_code == 401


@pytest.mark.parametrize("trick", ["other key", "none", "hs256 with the public key", "rubbish"])
def test_a_token_of_another_signature_is_refused(places: Places, trick: str) -> None:
    places.provider.trick = trick
    assert log_in(places).status_code == 401


def test_a_callback_belongs_to_the_browser_that_began_it_and_works_once(places: Places) -> None:
    sent = places.browser.get("/auth/login")
    callback = httpx.get(sent.headers["location"]).headers["location"]
    with httpx.Client(base_url=places.live.url) as victim:
        assert victim.get(callback).status_code == 400  # login forgery: someone else's code
        victim.get("/auth/login")
        assert victim.get(callback).status_code == 400
    query = parse_qs(urlsplit(callback).query)
    changed = urlencode({"code": query["code"][0], "state": "guessed"})
    assert places.browser.get(f"/auth/callback?{changed}").status_code == 400
    assert places.browser.get(callback).status_code == 400  # the failed try used the login up


def test_the_provider_gets_the_verifier_that_belongs_to_the_challenge(places: Places) -> None:
    log_in(places)
    challenge = base64.urlsafe_b64encode(sha256(places.provider.verifier.encode()).digest()).rstrip(b"=")
    assert places.provider.asked["code_challenge"] == challenge.decode()
    assert places.provider.asked["code_challenge_method"] == "S256"
    assert places.provider.asked["response_type"] == "code"
    assert len(places.provider.asked["state"]) >= 20


def test_groups_open_what_the_settings_say(places: Places) -> None:
    places.provider.changes = {"groups": ["visitors"]}
    log_in(places)
    assert places.browser.get("/v1/documents").status_code == 403
    asked = places.browser.post(
        "/v1/ask", json={"question": "When do we open?"}, headers={"X-CSRF-Token": csrf(places)}
    )
    assert asked.status_code == 200


def test_claims_become_tenant_and_scopes_or_nothing() -> None:
    base = OidcConfig(tenant_claim="org", scopes="", group_scopes="a:ask b:ask,documents")
    client = oidc.client_of({"sub": "1", "org": "acme", "groups": ["b"]}, base)
    assert (client.tenant, client.scopes) == ("acme", frozenset({"ask", "documents"}))
    for claims in (
        {"sub": "1", "groups": ["b"]},
        {"sub": "1", "org": "x"},
        {"sub": "1", "org": 5, "groups": ["b"]},
    ):
        with pytest.raises(ApiError):
            oidc.client_of(claims, base)


GOOD = OidcConfig(issuer="https://id.example", client_id="c", site="https://a.example", tenant="t")


@pytest.mark.parametrize(
    "wrong",
    [{"issuer": "http://id.example"}, {"site": "http://a.example"}, {"site": "https://a.example/x"},
     {"client_id": ""}, {"tenant": ""}, {"scopes": "everything"}, {"group_scopes": "staff:everything"}],
    ids=str,
)  # fmt: skip
def test_settings_that_must_not_be_used_are_refused(wrong: dict[str, str]) -> None:
    oidc.check(GOOD)
    with pytest.raises(ConfigError):
        oidc.check(replace(GOOD, **wrong))


def test_with_a_login_the_server_may_listen_beyond_this_machine_without_keys() -> None:
    ServerOptions(host="0.0.0.0", config=Config(oidc=GOOD)).check()
    with pytest.raises(ConfigError):
        ServerOptions(host="0.0.0.0").check()


def test_beyond_this_machine_the_cookie_is_bound_to_tls_and_host() -> None:
    cookie = oidc.Sessions("https://a.example").begin(oidc.client_of({"sub": "1"}, GOOD), "Ana")
    assert cookie.startswith("__Host-")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
