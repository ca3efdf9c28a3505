"""Documents in, cited answers out: parse, chunk, index, search and answer.

Names are imported at first use: the child processes that parse files need next to nothing of this.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sillar.documents.answer import Answer, AnswerEvent, AnswerOptions, stream_answer
    from sillar.documents.conversation import Turn
    from sillar.documents.document import Passage
    from sillar.documents.draft import Citation
    from sillar.documents.fetch_rules import FetchRules, make_rules
    from sillar.documents.follow import FileChange, Follower
    from sillar.documents.index import Index, default_index_path
    from sillar.documents.progress import IndexProgress, IndexReport
    from sillar.documents.web import WebPages

__all__ = [
    "Answer",
    "AnswerEvent",
    "AnswerOptions",
    "Citation",
    "FetchRules",
    "FileChange",
    "Follower",
    "Index",
    "IndexProgress",
    "IndexReport",
    "Passage",
    "Turn",
    "WebPages",
    "default_index_path",
    "make_rules",
    "stream_answer",
]

_MODULES = {
    "answer": ("Answer", "AnswerEvent", "AnswerOptions", "stream_answer"),
    "conversation": ("Turn",),
    "document": ("Passage",),
    "draft": ("Citation",),
    "fetch_rules": ("FetchRules", "make_rules"),
    "follow": ("FileChange", "Follower"),
    "index": ("Index", "default_index_path"),
    "progress": ("IndexProgress", "IndexReport"),
    "web": ("WebPages",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
