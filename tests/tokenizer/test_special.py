"""The matcher of whole tokens: leftmost, then longest; nothing lost, whatever the text."""

from hypothesis import given
from hypothesis import strategies as st

from sillar.tokenizer.special import TokenMatcher


def test_leftmost_then_longest() -> None:
    matcher = TokenMatcher({"ab": 1, "abc": 2, "cd": 3, "  ": 4})
    assert list(matcher.split("xabcd ab   y")) == ["x", 2, "d ", 1, 4, " y"]
    assert list(TokenMatcher({}).split("abc")) == ["abc"]
    assert list(TokenMatcher({}).split("")) == []


@given(st.sets(st.text("ab]^-\\", min_size=1, max_size=4)), st.text("ab]^-\\x", max_size=30))
def test_nothing_is_lost(texts: set[str], text: str) -> None:
    ids = {token: index for index, token in enumerate(sorted(texts))}
    names = {index: token for token, index in ids.items()}
    parts = list(TokenMatcher(ids).split(text))
    assert "".join(names[part] if isinstance(part, int) else part for part in parts) == text
    assert not any(token in part for part in parts if isinstance(part, str) for token in ids)
