"""Text to tokens and back, from a GGUF's metadata: byte-level BPE, SentencePiece BPE, unigram, WordPiece."""

from sillar.tokenizer.incremental import IncrementalDecoder
from sillar.tokenizer.tokenizer import Tokenizer

__all__ = ["IncrementalDecoder", "Tokenizer"]
