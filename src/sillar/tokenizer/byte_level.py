"""Byte-level BPE (GPT-2's scheme: Llama 3, Qwen, SmolLM, Falcon, ...) on the tokenizers library.

Each family cuts the text with its own patterns before merging; they are those that the models were published
with. A text is cut by the first pattern, the rests and matches by the next, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Regex, pre_tokenizers
from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers.models import BPE

from sillar.errors import ModelFormatError, ModelUnsupportedError, RequestError
from sillar.tokenizer.vocabulary import TokenType, Vocabulary, read_merges

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_TAIL}"
_QWEN2 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_TAIL}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CASED_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _cased(suffix: str, digits: str) -> str:
    head = r"[^\r\n\p{L}\p{N}]?"
    return f"{head}[{_UPPER}]*[{_LOWER}]+{suffix}|{head}[{_UPPER}]+[{_LOWER}]*{suffix}|{digits}|{_CASED_TAIL}"


_DIGITS_APART = (r"\p{N}", _GPT2)
_FAMILIES: dict[tuple[str, ...], Sequence[str]] = {
    ("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "mellum", "gigachat", "modern-bert"): (_GPT2,),
    ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2", "dbrx", "smaug-bpe"): (_LLAMA3,),
    ("qwen2", "stablelm2", "deepseek-r1-qwen", "hunyuan", "megrez"): (_QWEN2,),
    ("qwen35",): (_QWEN35,),
    ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"): _DIGITS_APART,
    ("falcon",): (r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, r"[0-9][0-9][0-9]"),
    ("deepseek-coder",): (
        r"[\r\n]",
        r"\s?\p{L}+",
        r"\s?\p{P}+",
        "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
        r"\p{N}",
    ),
    ("deepseek-llm",): (
        r"[\r\n]",
        r"\s?[\p{Lu}\p{Ll}\p{Lt}]+",
        "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
        # Only a run's start is tried: a run of spaces inside the text costs one look, not one for each space.
        r"(?<!\s)\s+$",
        "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
        r"\p{N}+",
    ),
    ("deepseek-v3", "hunyuan-dense"): (
        r"\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    ("tekken",): (_cased("", r"\p{N}"),),
    ("gpt-4o", "llama4", "kanana2"): (_cased(f"{_CONTRACTION}?", r"\p{N}{1,3}"),),
    ("chatglm-bpe", "glm4"): (_LLAMA3,),
    ("default", ""): (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"),
}
_PATTERNS = {name: patterns for names, patterns in _FAMILIES.items() for name in names}
_WHOLE_WORDS = {
    "llama-bpe",
    "llama3",
    "llama-v3",
    "falcon3",
    "pixtral",
    "lfm2",
    "tekken",
    "chatglm-bpe",
    "glm4",
}
"""Families whose words that are tokens themselves are never merged from parts."""
BOS_BY_DEFAULT = {"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2", "tekken"}


class ByteLevelModel:
    """The "gpt2" kind of vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        patterns = _PATTERNS.get(vocabulary.pre)
        if patterns is None:
            raise ModelUnsupportedError(
                f"The model cuts its text as {vocabulary.pre!r} (tokenizer.ggml.pre): that is not known here."
            )
        ids = vocabulary.ids_of(TokenType.NORMAL, TokenType.UNUSED)
        merges = [
            pair
            for pair in read_merges(vocabulary.metadata)
            # Text must never be merged into a control token, whatever the file says.
            if pair[0] in ids and pair[1] in ids and pair[0] + pair[1] in ids
        ]
        try:
            model = BPE(vocab=ids, merges=merges, ignore_merges=vocabulary.pre in _WHOLE_WORDS)
        except Exception as error:
            raise ModelFormatError(f"The vocabulary's merges do not fit its tokens: {error}") from error
        self._tokenizer = LibraryTokenizer(model)
        cuts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, byte_level])

    def encode(self, text: str, first: bool) -> list[int]:
        """Tokens of a text without special tokens."""
        del first
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:
            raise RequestError(f"The text cannot be cut into tokens: {error}") from error
        return ids


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins, character to byte: printable Latin-1 as it is, the rest from U+0100."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + n): byte for n, byte in enumerate(rest)}
