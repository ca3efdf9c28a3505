"""The tokenizer of a model: special tokens around one of the four kinds of vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self

from sillar.errors import ModelUnsupportedError, RequestError
from sillar.tokenizer.byte_level import BOS_BY_DEFAULT, ByteLevelModel, byte_alphabet
from sillar.tokenizer.sentencepiece import SPACE, SentencePieceModel, byte_ids
from sillar.tokenizer.special import TokenMatcher
from sillar.tokenizer.unigram import UnigramModel
from sillar.tokenizer.vocabulary import TokenType, Vocabulary, read_vocabulary
from sillar.tokenizer.wordpiece import WordPieceModel

_END_TEXTS = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>",
    "<EOT>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<|return|>", "<|call|>",
}  # fmt: skip
"""Control tokens that end a turn in some family, for files that name only one end."""


class _Model(Protocol):
    def encode(self, text: str, first: bool) -> list[int]: ...


class Tokenizer:
    """Text to tokens and back. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._model = _model_of(vocabulary)
        user = vocabulary.ids_of(TokenType.USER_DEFINED)
        control = vocabulary.ids_of(TokenType.CONTROL)
        if vocabulary.model == "bert":
            control.update(vocabulary.ids_of(TokenType.UNKNOWN))
        self._added = TokenMatcher(user)
        self._special = TokenMatcher({**control, **user})
        self._control = frozenset(control.values())
        self._bytes = _ByteTable(vocabulary)
        self.control_texts: Mapping[str, int] = control
        """Text to id of the control tokens."""
        self.bos_id = _first(vocabulary.special_id("bos"), vocabulary.special_id("cls"))
        self.eos_id = _first(vocabulary.special_id("eos"), vocabulary.special_id("seperator"))
        self.eos_ids: frozenset[int] = self._ends(control)
        """Every token that ends an answer: the file's eos, eot, eom, and known ends among control tokens."""
        bos_default = vocabulary.model in ("llama", "bert") or vocabulary.pre in BOS_BY_DEFAULT
        self.add_bos = vocabulary.flag("add_bos_token", bos_default) and self.bos_id is not None
        eos_default = vocabulary.model in ("t5", "bert")
        self.add_eos = vocabulary.flag("add_eos_token", eos_default) and self.eos_id is not None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Builds the tokenizer that a GGUF's metadata describes.

        Raises ModelFormatError for broken metadata and ModelUnsupportedError for a kind of vocabulary or a
        way of cutting the text that is not known: another one would give wrong tokens in silence.
        """
        return cls(read_vocabulary(metadata))

    @property
    def vocab_size(self) -> int:
        """The number of tokens, special and unused ones included."""
        return self._vocabulary.size

    def encode(
        self,
        text: str,
        *,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        parse_special: bool = False,
    ) -> list[int]:
        """The tokens of `text`.

        `add_bos` and `add_eos` None follow the model file. Control tokens written out in the text are read
        as such only with `parse_special`; without it they are plain text, so a text from outside cannot
        change roles. Raises RequestError for text that holds half of a surrogate pair.
        """
        _check_unicode(text)
        tokens: list[int] = []
        if self.add_bos if add_bos is None else add_bos:
            tokens += [] if self.bos_id is None else [self.bos_id]
        tokens += self.encode_parts((self._special if parse_special else self._added).split(text))
        if self.add_eos if add_eos is None else add_eos:
            tokens += [] if self.eos_id is None else [self.eos_id]
        return tokens

    def marked_parts(self, text: str, mark: str) -> list[str | int]:
        """Text in which a mark breaks spellings, cut at its control tokens: plain parts and tokens, in order.

        A control token is read where its spelling stands without a mark inside; then the marks are dropped
        and the rest is plain text. Control tokens of one character are never read. Raises RequestError.
        """
        _check_unicode(text)
        parts: list[str | int] = []
        for part in self._special.split(text):
            if isinstance(part, int) and len(self._vocabulary.tokens[part]) > 1:
                parts.append(part)
            elif isinstance(part, int):
                parts += self._added.split(self._vocabulary.tokens[part])
            else:
                parts += self._added.split(part.replace(mark, ""))
        return parts

    def encode_parts(self, parts: Iterable[str | int]) -> list[int]:
        """The tokens of such parts. A plain one never gives a control token."""
        tokens: list[int] = []
        first = True
        for part in parts:
            if isinstance(part, int):
                tokens.append(part)
            else:
                tokens += self._model.encode(part, first)
            first = isinstance(part, int)
        return tokens

    def decode(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text of `tokens`; bytes that are no UTF-8 become U+FFFD.

        Control tokens are left out unless `special`, and so is the space that encoding puts before a text.
        """
        piece = self.token_bytes if special else self.text_bytes
        raw = b"".join(piece(token) for token in tokens)
        if getattr(self._model, "add_space_prefix", False) and raw.startswith(b" "):
            raw = raw[1:]
        elif self._vocabulary.model == "bert":
            raw = raw.removeprefix(b" ")
        return raw.decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; a control token's are its name. Raises RequestError."""
        return self._bytes[self._known(token)]

    def text_bytes(self, token: int) -> bytes:
        """The bytes that a token adds to a text: none for a control token. Raises RequestError."""
        return b"" if token in self._control else self._bytes[self._known(token)]

    def is_control(self, token: int) -> bool:
        """Whether a token is for the model's protocol and not for a reader."""
        return token in self._control

    def _known(self, token: int) -> int:
        if not 0 <= token < self._vocabulary.size:
            raise RequestError(f"Token {token} is not in the vocabulary of {self._vocabulary.size}.")
        return token

    def _ends(self, control: Mapping[str, int]) -> frozenset[int]:
        named = {self._vocabulary.special_id(role) for role in ("eos", "eot", "eom")}
        known = {token for text, token in control.items() if text in _END_TEXTS}
        return frozenset({token for token in named if token is not None} | known)


def _model_of(vocabulary: Vocabulary) -> _Model:
    match vocabulary.model:
        case "gpt2":
            return ByteLevelModel(vocabulary)
        case "llama":
            return SentencePieceModel(vocabulary)
        case "t5":
            return UnigramModel(vocabulary)
        case "bert":
            return WordPieceModel(vocabulary)
    raise ModelUnsupportedError(
        f"The model's kind of vocabulary is {vocabulary.model!r} (tokenizer.ggml.model); "
        "Sillar reads gpt2, llama, t5 and bert."
    )


def _first(*ids: int | None) -> int | None:
    return next((token for token in ids if token is not None), None)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("The text holds half of a surrogate pair, which is no character.") from error


class _ByteTable:
    """Token id to its bytes, worked out at first use."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._alphabet = byte_alphabet() if vocabulary.model == "gpt2" else {}
        self._byte_tokens = {token: bytes([byte]) for byte, token in byte_ids(vocabulary).items()}
        self._known: dict[int, bytes] = {}

    def __getitem__(self, token: int) -> bytes:
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._spell(token)
        return found

    def _spell(self, token: int) -> bytes:
        text, kind = self._vocabulary.tokens[token], self._vocabulary.types[token]
        if token in self._byte_tokens:
            return self._byte_tokens[token]
        if kind not in (TokenType.NORMAL, TokenType.UNUSED):
            return text.encode("utf-8", "replace")
        if self._vocabulary.model == "gpt2":
            if all(character in self._alphabet for character in text):
                return bytes(self._alphabet[character] for character in text)
            return text.encode("utf-8", "replace")
        return text.replace(SPACE, " ").encode("utf-8", "replace")
