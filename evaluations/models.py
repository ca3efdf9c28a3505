"""Loads the models that are evaluated."""

from __future__ import annotations

from sillar.documents.interfaces import TextEmbedder


def load_embedder(name: str = "") -> TextEmbedder:
    """The embedder with this name or path; the default one when empty."""
    from sillar import hub  # noqa: PLC0415 - slow to import, and not needed by --help
    from sillar.engine.embedder import Embedder  # noqa: PLC0415

    return Embedder.load(hub.resolve(name or hub.DEFAULT_EMBEDDER))
