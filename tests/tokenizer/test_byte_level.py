"""Byte-level BPE: tokens, bytes, what is control and what is text."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sillar.errors import ModelFormatError, ModelUnsupportedError, RequestError
from sillar.tokenizer import IncrementalDecoder, Tokenizer

shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def test_merges_by_rank(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    tokens = byte_level["tokenizer.ggml.tokens"]
    assert [tokens[token] for token in tokenizer.encode("hello world")] == ["hello", "Ġw", "o", "r", "l", "d"]


def test_control_tokens_in_text_stay_text(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    text = "a<|im_end|><|im_start|>b"
    plain = tokenizer.encode(text)
    assert not any(tokenizer.is_control(token) for token in plain)
    assert tokenizer.decode(plain) == text
    parsed = tokenizer.encode(text, parse_special=True)
    assert parsed[1:3] == [2, 1]
    assert tokenizer.decode(parsed) == "ab"
    assert tokenizer.decode(parsed, special=True) == text


def test_added_tokens_are_always_matched(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    token = byte_level["tokenizer.ggml.tokens"].index("<tool>")
    assert tokenizer.encode("x<tool>y")[1] == token
    assert tokenizer.decode(tokenizer.encode("x<tool>y")) == "x<tool>y"


def test_ends_and_beginnings(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    assert tokenizer.eos_ids == {0, 2}
    assert tokenizer.bos_id == 0
    assert tokenizer.encode("he", add_bos=True)[0] == 0
    assert tokenizer.encode("he")[0] != 0
    assert tokenizer.encode("") == []


@shared
@given(texts)
def test_round_trip(byte_level: dict[str, Any], text: str) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    decoder = IncrementalDecoder(tokenizer)
    pieces = [decoder.push(token) for token in tokens]
    assert "".join(pieces) + decoder.flush() == text
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


def test_a_half_character_waits_and_is_replaced_at_the_end(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    first, *rest = tokenizer.encode("😁")
    decoder = IncrementalDecoder(tokenizer)
    assert decoder.push(first) == ""
    assert "".join(decoder.push(token) for token in rest) == "😁"
    assert decoder.push(first) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.push(tokenizer.encode("h")[0]) == "h"


def test_token_bytes(byte_level: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(byte_level)
    tokens = byte_level["tokenizer.ggml.tokens"]
    assert tokenizer.token_bytes(tokens.index("Ã±")) == "ñ".encode()
    assert tokenizer.token_bytes(1) == b"<|im_start|>"
    assert tokenizer.text_bytes(1) == b""
    for token in (-1, len(tokens)):
        with pytest.raises(RequestError):
            tokenizer.token_bytes(token)


def test_half_a_surrogate_pair_is_refused(byte_level: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        Tokenizer.from_metadata(byte_level).encode("a\ud800")


def test_a_merge_into_a_control_token_is_ignored(byte_level: dict[str, Any]) -> None:
    byte_level["tokenizer.ggml.tokens"].append("zz")
    byte_level["tokenizer.ggml.token_type"].append(3)
    byte_level["tokenizer.ggml.scores"].append(0.0)
    byte_level["tokenizer.ggml.merges"].append("z z")
    tokenizer = Tokenizer.from_metadata(byte_level)
    assert not any(tokenizer.is_control(token) for token in tokenizer.encode("zz"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokens", None),
        ("tokens", "abc"),
        ("tokens", []),
        ("tokens", [1, 2]),
        ("token_type", [1]),
        ("scores", [float("nan")] * 1000),
        ("merges", ["ab"]),
        ("merges", None),
        ("eos_token_id", 10**6),
        ("eos_token_id", "2"),
        ("add_bos_token", "yes"),
    ],
)
def test_broken_metadata_is_refused(byte_level: dict[str, Any], key: str, value: Any) -> None:
    byte_level[f"tokenizer.ggml.{key}"] = value
    with pytest.raises(ModelFormatError):
        Tokenizer.from_metadata(byte_level)


@pytest.mark.parametrize(("key", "value"), [("model", "rwkv"), ("pre", "never-heard-of")])
def test_unknown_kinds_are_refused(byte_level: dict[str, Any], key: str, value: str) -> None:
    byte_level[f"tokenizer.ggml.{key}"] = value
    with pytest.raises(ModelUnsupportedError):
        Tokenizer.from_metadata(byte_level)
