"""WordPiece (BERT: bge, MiniLM): lower case, no accents, words and punctuation, the longest piece first.

GGUF marks the pieces that start a word with U+2581 where BERT marks those that continue one with "##".
"""

from __future__ import annotations

from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from sillar.errors import ModelFormatError, RequestError
from sillar.tokenizer.sentencepiece import SPACE
from sillar.tokenizer.vocabulary import TokenType, Vocabulary

_MAX_WORD = 100


class WordPieceModel:
    """The "bert" kind of vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        unknown = vocabulary.special_id("unknown")
        if unknown is None:
            raise ModelFormatError("A WordPiece vocabulary needs an unknown token.")
        pieces = {}
        for text, token in vocabulary.ids_of(TokenType.NORMAL).items():
            pieces[text[len(SPACE) :] if text.startswith(SPACE) else f"##{text}"] = token
        # A name that no word can have: spaces never reach the model.
        pieces[" unknown "] = unknown
        model = WordPiece(vocab=pieces, unk_token=" unknown ", max_input_chars_per_word=_MAX_WORD)
        self._tokenizer = LibraryTokenizer(model)
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def encode(self, text: str, first: bool) -> list[int]:
        """Tokens of a text without special tokens."""
        del first
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:
            raise RequestError(f"The text cannot be cut into tokens: {error}") from error
        return ids
