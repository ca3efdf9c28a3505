"""SentencePiece BPE against a slow, obvious twin: at each turn the best pair, leftmost among equals."""

from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sillar.tokenizer import Tokenizer

shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)


def slow_encode(metadata: dict[str, Any], text: str) -> list[str]:
    scores = {
        piece: score
        for piece, kind, score in zip(
            metadata["tokenizer.ggml.tokens"],
            metadata["tokenizer.ggml.token_type"],
            metadata["tokenizer.ggml.scores"],
            strict=True,
        )
        if kind == 1
    }
    pieces = list("▁" + text.replace(" ", "▁")) if text else []
    while True:
        pairs = [(scores[a + b], -n) for n, (a, b) in enumerate(pairwise(pieces)) if a + b in scores]
        if not pairs:
            break
        at = -max(pairs)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    spelled = [
        [piece] if piece in scores else [f"<0x{byte:02X}>" for byte in piece.encode()] for piece in pieces
    ]
    return [token for tokens in spelled for token in tokens]


@shared
@given(st.text(st.sampled_from("athein r <s>/ñé▁"), max_size=40))
def test_like_the_slow_twin(sentencepiece: dict[str, Any], text: str) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece)
    tokens = sentencepiece["tokenizer.ggml.tokens"]
    assert [tokens[token] for token in tokenizer.encode(text, add_bos=False)] == slow_encode(
        sentencepiece, text
    )


def test_bytes_for_what_no_piece_covers(sentencepiece: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece)
    tokens = [sentencepiece["tokenizer.ggml.tokens"][token] for token in tokenizer.encode("é")]
    assert tokens == ["<s>", "▁", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("é")) == "é"


def test_control_tokens_in_text_stay_text(sentencepiece: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece)
    assert 1 not in tokenizer.encode("a<s>b", add_bos=False)
    assert tokenizer.encode("<s>a", add_bos=False, parse_special=True)[0] == 1


@shared
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=40))
def test_round_trip(sentencepiece: dict[str, Any], text: str) -> None:
    tokenizer = Tokenizer.from_metadata(sentencepiece)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_work_grows_with_the_text_and_not_its_square(sentencepiece: dict[str, Any]) -> None:
    """Candidates that are pushed on the heap, for a text without any space to cut at."""

    def pushes(length: int) -> int:
        tokenizer = Tokenizer.from_metadata(sentencepiece)
        model = tokenizer._model
        counted = 0
        offer = model._offer  # type: ignore[attr-defined]

        def count(*arguments: Any) -> None:
            nonlocal counted
            counted += 1
            offer(*arguments)

        model._offer = count  # type: ignore[attr-defined]
        tokenizer.encode("a" * length)
        return counted

    assert pushes(20_000) < 2.2 * pushes(10_000)
