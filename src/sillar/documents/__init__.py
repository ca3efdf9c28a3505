"""Documents in, cited answers out: parse, chunk, index, search and answer."""

from sillar.documents.answer import Answer, AnswerEvent, AnswerOptions, answer, stream_answer
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
    "answer",
    "default_index_path",
    "make_rules",
    "stream_answer",
]
