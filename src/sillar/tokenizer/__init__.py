"""Text to tokens and back, from a GGUF's metadata: byte-level BPE, SentencePiece BPE, unigram, WordPiece."""

from .incremental import IncrementalDecoder
from .tokenizer import Tokenizer

__all__ = ["IncrementalDecoder", "Tokenizer"]
