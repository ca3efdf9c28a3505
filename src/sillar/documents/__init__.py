"""Documents in, cited answers out: parse, chunk, index, search and answer."""

from sillar.documents.document import Passage
from sillar.documents.index import Index, IndexProgress, IndexReport, default_index_path

__all__ = ["Index", "IndexProgress", "IndexReport", "Passage", "default_index_path"]
