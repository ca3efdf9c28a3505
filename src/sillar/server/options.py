"""What a server is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sillar.config import Config
from sillar.documents.fetch_rules import make_rules
from sillar.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, one connection and the whole server may take."""

    body_bytes: int = 4 << 20
    upload_bytes: int = 64 << 20
    """Of a document."""
    header_seconds: float = 10
    """Until a connection's request line and headers are complete."""
    body_seconds: float = 60
    stall_seconds: float = 30
    """How long a client may leave what was sent to it unread before its connection is dropped."""
    connections: int = 1024
    running: int = 32
    waiting: int = 64
    first_token_seconds: float = 2.0
    """See config.EngineConfig."""
    grace_seconds: float = 30
    """After SIGTERM, for what runs; then it is cancelled."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Models are catalogue names or paths. Without keys, only a loopback address is accepted."""

    host: str = "127.0.0.1"
    port: int = 8080
    chat_models: tuple[str, ...] = ()
    embedders: tuple[str, ...] = ()
    rerankers: tuple[str, ...] = ()
    rerank_answers: bool = False
    """English questions over the documents have their first passages reranked; it takes time."""
    documents: Path | None = None
    """A folder to answer from."""
    watch: bool = False
    """Whether that folder is followed while it is served."""
    keys: Path | None = None
    """TOML file of API keys; see sillar.server.auth."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that clients may call this server by, while it has no keys."""
    traces: bool = False
    """Whether OpenTelemetry is told of requests."""
    limits: Limits = field(default_factory=Limits)
    config: Config = field(default_factory=Config)

    def check(self) -> None:
        """Raises ConfigError for what must not be started."""
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port {self.port} is outside 0..65535")
        make_rules(config=self.config.web)
        if self.watch and self.documents is None:
            raise ConfigError("--watch follows a folder: sillar serve DIR --watch")
        if self.rerank_answers and not self.rerankers:
            raise ConfigError("there is no reranker: sillar pull ms-marco-minilm-l-12-v2")
        if self.keys is None and not self.config.oidc.issuer and not is_loopback(self.host):
            raise ConfigError(
                f"refusing to listen on {self.host} without API keys: anyone who reaches this machine could "
                "use it. Give --keys FILE, or stay on 127.0.0.1."
            )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
