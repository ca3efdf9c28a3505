"""What all routes share: models by name, keys, limits, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from sillar.engine.embedder import Embedder
from sillar.engine.language_model import LanguageModel
from sillar.engine.reranker import Reranker
from sillar.errors import ModelNotFoundError
from sillar.server.auth import KeyStore
from sillar.server.key_file import KeyFile
from sillar.server.library import Library
from sillar.server.limits import ClientLimits
from sillar.server.memory_guard import MemoryGuard
from sillar.server.metrics import Metrics
from sillar.server.options import ServerOptions
from sillar.server.sessions import Sessions
from sillar.server.tracing import NoTracing, Tracing

T = TypeVar("T")

DOCUMENTS = "documents"
"""The model that answers from the documents."""


@dataclass(slots=True)
class ServerState:
    """Of one server. The first model of a kind answers where a request names none."""

    options: ServerOptions
    language_models: dict[str, LanguageModel] = field(default_factory=dict)
    embedders: dict[str, Embedder] = field(default_factory=dict)
    keys: KeyStore | None = None
    sessions: Sessions | None = None
    """Of browsers, where people log in."""
    client_limits: ClientLimits = field(default_factory=ClientLimits)
    memory: MemoryGuard = field(default_factory=MemoryGuard)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=NoTracing)
    ready: bool = False
    draining: bool = False
    created: int = 0
    """Unix time of the start."""
    library: Library | None = None
    """What the model `documents` answers from."""
    rerankers: dict[str, Reranker] = field(default_factory=dict)
    key_file: KeyFile | None = None
    """Where keys can be made and revoked."""
    answering: dict[str, str] = field(default_factory=dict)
    """The language model that answers a tenant from the documents, where it is not the first one."""
    memory_bytes: dict[str, int] = field(default_factory=dict)
    """What each loaded model takes by its plan: weights, workspace, KV cache."""

    @property
    def model_names(self) -> list[str]:
        """What a request may name."""
        documents = [] if self.library is None else [DOCUMENTS]
        return list(dict.fromkeys([*self.language_models, *documents, *self.embedders, *self.rerankers]))

    def language_model(self, name: str | None) -> LanguageModel:
        """Raises ModelNotFoundError, which names those there are."""
        return _named(self.language_models, name, "language model")

    def answering_model(self, tenant: str, name: str | None = None) -> LanguageModel:
        """The one that answers a tenant from the documents, unless it names one; as language_model."""
        return self.language_model(name or self.answering.get(tenant))

    def embedder(self, name: str | None) -> Embedder:
        """Raises ModelNotFoundError, which names those there are."""
        return _named(self.embedders, name, "embedding model")

    def reranker(self, name: str | None) -> Reranker:
        """Raises ModelNotFoundError, which names those there are."""
        return _named(self.rerankers, name, "reranker")


def _named(models: dict[str, T], name: str | None, kind: str) -> T:
    if name is None and models:
        return next(iter(models.values()))
    if name not in models:
        there = ", ".join(models) or "none"
        raise ModelNotFoundError(f"There is no {kind} '{(name or '')[:100]}' here; there is: {there}.")
    return models[name]
