"""Login through a company's own identity provider: OpenID Connect, authorization code with PKCE.

State, nonce and verifier of a login never leave this process; the browser holds a random name for them.
Sources: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; RFC 7636; RFC 9700.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sillar.config import OidcConfig
from sillar.errors import ConfigError
from sillar.server.auth import SCOPES, Client
from sillar.server.errors import ApiError
from sillar.server.options import is_loopback
from sillar.server.sessions import Sessions

PUBLIC = ("/auth/login", "/auth/callback", "/auth/session")
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_LOGIN_SECONDS = 600
_MOST_LOGINS = 2000
_LEEWAY = 60
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class _Login:
    """A login that is under way."""

    state: str
    nonce: str
    verifier: str
    expires: float


class Provider:
    """The identity provider of the settings."""

    def __init__(self, settings: OidcConfig) -> None:
        """Raises ConfigError for settings that must not be used, or without the extra `oidc`."""
        check(settings)
        self._settings = settings
        self._redirect = f"{settings.site}/auth/callback"
        self._logins: OrderedDict[str, _Login] = OrderedDict()

    async def begin(self) -> tuple[str, str]:
        """(the login's name for the browser, the provider's address to send it to)."""
        async with self._client() as client:
            found = await self._discover()
            nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
            address, state = client.create_authorization_url(
                found["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        name = secrets.token_urlsafe(24)
        self._logins[name] = _Login(state, nonce, verifier, time.time() + _LOGIN_SECONDS)
        while len(self._logins) > _MOST_LOGINS:
            self._logins.popitem(last=False)
        return name, address

    async def finish(self, name: str, state: str, code: str) -> dict[str, Any]:
        """The claims of whoever logged in. Raises ApiError where anything does not fit."""
        login = self._logins.pop(name, None)
        if login is None or login.expires < time.time() or not hmac.compare_digest(
            state.encode(), login.state.encode()
        ):  # fmt: skip
            raise ApiError(400, "This login is not one that began here, or too old.", code="login_failed")
        async with self._client() as client:
            found = await self._discover()
            try:
                token = await client.fetch_token(
                    found["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=login.verifier,
                )
                keys = await _json(found["jwks_uri"])
                return _claims(token["id_token"], keys, self._settings, login.nonce)
            except ApiError:
                raise
            except Exception as error:
                message = "The identity provider's answer is not valid."
                raise ApiError(401, message, code="login_failed") from error

    def _client(self) -> Any:
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415

        return AsyncOAuth2Client(
            self._settings.client_id,
            self._settings.client_secret or None,
            scope="openid profile email",
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._settings.client_secret else "none",
            timeout=_TIMEOUT,
            trust_env=False,
        )

    async def _discover(self) -> dict[str, str]:
        address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = await _json(address)
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            ends = {name: str(found[name]) for name in wanted}
            fits = found["issuer"] == self._settings.issuer and all(map(_is_safe, ends.values()))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ApiError(503, "The identity provider does not answer.", code="login_failed") from error
        if not fits:
            raise ApiError(503, "The identity provider describes itself wrongly.", code="login_failed")
        return ends


def router(provider: Provider, settings: OidcConfig, sessions: Sessions) -> APIRouter:
    """Login, its way back, who is logged in, and logout."""
    routes = APIRouter(prefix="/auth", tags=["login"], include_in_schema=False)
    name_cookie = "__Host-sillar-login" if sessions.secure else "sillar-login"
    flags = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if sessions.secure else "")

    @routes.get("/login")
    async def login() -> Response:
        name, address = await provider.begin()
        back = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
        back.headers["Set-Cookie"] = f"{name_cookie}={name}; Max-Age={_LOGIN_SECONDS}; {flags}"
        return back

    @routes.get("/callback")
    async def callback(request: Request, state: str = "", code: str = "") -> Response:
        claims = await provider.finish(request.cookies.get(name_cookie, ""), state, code)
        client = client_of(claims, settings)
        person = str(claims.get("name") or claims.get("email") or claims["sub"])[:200]
        back = RedirectResponse("/", 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        back.headers.append("Set-Cookie", sessions.begin(client, person))
        back.headers.append("Set-Cookie", f"{name_cookie}=; Max-Age=0; {flags}")
        return back

    @routes.get("/session")
    async def session(request: Request) -> Response:
        found = sessions.find(request.headers)
        body = {"person": found and found.person, "csrf": found and found.csrf}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    @routes.post("/logout")
    async def logout(request: Request) -> Response:
        return JSONResponse({}, headers={"Set-Cookie": sessions.end(request.headers)})

    return routes


def client_of(claims: dict[str, Any], settings: OidcConfig) -> Client:
    """Who these claims are here, as the settings map tenant and scopes. Raises ApiError 403 for nobody."""
    tenant = claims.get(settings.tenant_claim) if settings.tenant_claim else settings.tenant
    if not isinstance(tenant, str) or not tenant:
        raise ApiError(403, "This account belongs to no tenant.", code="login_failed")
    groups = claims.get(settings.groups_claim, []) if settings.groups_claim else []
    groups = groups if isinstance(groups, list) else [groups]
    scopes = set(settings.scopes.split())
    for group, extra in _group_scopes(settings.group_scopes).items():
        scopes |= extra if group in groups else set()
    if not scopes:
        raise ApiError(403, "This account may do nothing here.", code="login_failed")
    return Client(f"oidc:{claims['sub']}", tenant, frozenset(scopes))


def check(settings: OidcConfig) -> None:
    """Raises ConfigError for what must not be used."""
    for name in ("issuer", "site"):
        if not _is_safe(getattr(settings, name)):
            raise ConfigError(f"oidc.{name} is not https (http only on this machine)")
    if settings.site != "://".join(urlsplit(settings.site)[:2]):
        raise ConfigError("oidc.site is not scheme://host[:port] alone")
    if not settings.client_id or not (settings.tenant or settings.tenant_claim):
        raise ConfigError("oidc needs client_id, and tenant or tenant_claim")
    named = set(settings.scopes.split()).union(*_group_scopes(settings.group_scopes).values())
    if unknown := named - SCOPES:
        raise ConfigError(f"oidc: unknown scope {', '.join(sorted(unknown))}")
    try:
        import authlib  # noqa: F401, PLC0415
        import joserfc  # noqa: F401, PLC0415
    except ImportError:
        raise ConfigError("login needs the extra: pip install 'sillar[oidc]'") from None


async def _json(address: str) -> Any:
    async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
        return (await client.get(address)).raise_for_status().json()


def _group_scopes(text: str) -> dict[str, set[str]]:
    """`staff:documents,ask ops:metrics` as {group: scopes}."""
    pairs = (part.rpartition(":") for part in text.split())
    return {group: set(scopes.split(",")) for group, _, scopes in pairs}


def _claims(token: str, keys: Any, settings: OidcConfig, nonce: str) -> dict[str, Any]:
    """The ID token's claims; raises what joserfc raises where signature or claims do not fit."""
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    claims = dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims)
    jwt.JWTClaimsRegistry(
        leeway=_LEEWAY,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    ).validate(claims)
    if claims.get("azp", settings.client_id) != settings.client_id:
        raise ApiError(401, "The token is for another application.", code="login_failed")
    return claims


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
