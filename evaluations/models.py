"""Loads the models that are evaluated."""

from __future__ import annotations

from pathlib import Path

from sillar import hub
from sillar.documents.interfaces import TextEmbedder, TextReranker
from sillar.engine.language_model import LanguageModel
from sillar.engine.loading import load_embedder as _load_embedder
from sillar.engine.loading import load_language_model
from sillar.engine.loading import load_reranker as _load_reranker


def load_embedder(name: str = "") -> TextEmbedder:
    """The embedder with this name or path; the default one when empty."""
    return _load_embedder(_path(name or hub.DEFAULT_EMBEDDER))


def load_reranker(name: str) -> TextReranker:
    """The reranker with this name or path."""
    return _load_reranker(_path(name))


def load_model(name: str = "") -> LanguageModel:
    """The language model with this name or path; enter it to start it."""
    return load_language_model(_path(name or hub.DEFAULT_CHAT_MODEL))


def _path(name: str) -> Path:
    return Path(name) if Path(name).is_file() else hub.resolve(name)
