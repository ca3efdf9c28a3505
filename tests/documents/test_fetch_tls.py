"""Pages over TLS: the connection goes to an address, the certificate has to be the name's."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sillar.documents.fetch import Validators, fetch
from sillar.documents.fetch_rules import make_rules
from sillar.errors import DocumentError
from tests.documents.test_fetch import names

__all__ = ["names"]


def certificate(path: Path, name: str) -> Path:
    """A certificate of its own authority for a name and 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    valid = datetime.datetime(2020, 1, 1), datetime.datetime(2099, 1, 1)
    who: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), *valid)
        .add_extension(x509.SubjectAlternativeName(who), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"A page.")

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving_tls(pem: Path) -> Iterator[tuple[int, list[str | None]]]:
    """The port, and the names that clients asked for (SNI)."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_the_certificate_has_to_be_the_name_s(
    tmp_path: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path / "site.pem", "docs.example.com")
    monkeypatch.setattr(certifi, "where", lambda: str(pem))
    names |= {"docs.example.com": ["127.0.0.1"], "other.example.com": ["127.0.0.1"]}
    with serving_tls(pem) as (port, asked):
        rules = make_rules([f"docs.example.com:{port}", f"other.example.com:{port}"], ["127.0.0.1"])
        target = tmp_path / "page"
        assert await fetch(f"https://docs.example.com:{port}/a", rules, Validators(), target)
        assert target.read_bytes() == b"A page."
        assert asked == ["docs.example.com"]
        with pytest.raises(DocumentError, match="certificate"):
            await fetch(f"https://other.example.com:{port}/a", rules, Validators(), target)
