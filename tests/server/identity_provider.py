"""A stand-in OpenID provider on a loopback port: agrees to every login, signs tokens, cheats when told to."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.loopback import serving


@dataclass
class IdentityProvider:
    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    asked: dict[str, str] = field(default_factory=dict)
    """The last authorization request."""
    verifier: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    """Claims of the next tokens that differ; None leaves a claim out."""
    trick: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def reset(self) -> None:
        self.changes, self.trick = {}, ""

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes back to."""
        self.asked = query
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str]) -> dict[str, str]:
        asked = self.codes.pop(form["code"])
        self.verifier = form["code_verifier"]
        now = int(time.time())
        claims = {"iss": self.url, "aud": "sillar", "sub": "ana-1", "name": "Ana", "groups": ["staff"],
                  "iat": now, "exp": now + 300, "nonce": asked["nonce"]}  # fmt: skip
        claims = {name: value for name, value in (claims | self.changes).items() if value is not None}
        return {"access_token": "a", "token_type": "Bearer", "id_token": self._sign(claims)}

    def _sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "one"}
        match self.trick:
            case "other key":
                return str(jwt.encode(header, claims, RSAKey.generate_key(2048, {"kid": "one"})))
            case "none":
                parts = str(jwt.encode(header, claims, self.key)).split(".")
                return f"eyJhbGciOiJub25lIn0.{parts[1]}."
            case "hs256 with the public key":
                public = OctKey.import_key(self.key.as_pem(private=False))
                return str(jwt.encode({"alg": "HS256", "kid": "one"}, claims, public))
            case "rubbish":
                return "a.b.c"
        return str(jwt.encode(header, claims, self.key))


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(dict(parse_qsl(parts.query))))
                self.end_headers()
            elif parts.path == "/keys":
                self._json({"keys": [provider.key.as_dict(private=False)]})
            else:
                ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                found = {name: f"{provider.url}/{path}" for name, path in ends.items()}
                self._json({"issuer": provider.url, **found})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert self.headers["Authorization"].startswith("Basic ")
            self._json(provider.token(dict(parse_qsl(body))))

        def _json(self, body: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as provider.url:
        yield provider
