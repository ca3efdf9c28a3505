"""Documents in, cited answers out: parse, chunk, index, search and answer."""

from sillar.documents.answer import Answer, AnswerEvent, AnswerOptions, answer, stream_answer
from sillar.documents.conversation import Turn
from sillar.documents.document import Passage
from sillar.documents.draft import Citation
from sillar.documents.follow import FileChange, Follower
from sillar.documents.index import Index, default_index_path
from sillar.documents.progress import IndexProgress, IndexReport

__all__ = [
    "Answer",
    "AnswerEvent",
    "AnswerOptions",
    "Citation",
    "FileChange",
    "Follower",
    "Index",
    "IndexProgress",
    "IndexReport",
    "Passage",
    "Turn",
    "answer",
    "default_index_path",
    "stream_answer",
]
