"""Stop strings: found across any cut of the text, and nothing of them is ever emitted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sillar.engine.stops import StopMatcher


@given(
    pieces=st.lists(st.text("ab\n", max_size=4), max_size=12),
    stops=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
)
def test_equals_the_search_in_the_whole_text(pieces: list[str], stops: list[str]) -> None:
    whole, matcher = "".join(pieces), StopMatcher(stops)
    out = ""
    for piece in pieces:
        out += matcher.push(piece)
        assert whole.startswith(out)
        if matcher.matched:
            break
    out += matcher.flush()
    # The stop string that is complete first wins; of those, the one that begins first.
    ends = [whole.find(stop) + len(stop) for stop in stops if stop in whole]
    assert matcher.matched == bool(ends)
    if not ends:
        assert out == whole
    else:
        assert not any(stop in out for stop in stops)
        assert any(whole[len(out) :].startswith(stop) for stop in stops)


def test_holds_back_no_more_than_needed() -> None:
    matcher = StopMatcher(["\n\nUser:"])
    assert matcher.push("One.\n") == "One."
    assert matcher.push("Two") == "\nTwo"
    assert matcher.push(".\n\nUs") == "."
    assert matcher.push("er: hi") == ""
    assert matcher.matched
    assert matcher.push("more") == ""
