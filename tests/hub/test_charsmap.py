"""The normalisation map: what is built can be read back by an independent walk of the double array."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from sillar.hub.charsmap import build_charsmap, with_compositions


def look_up(charsmap: bytes, text: bytes) -> list[tuple[int, str]]:
    """(length, replacement) of every key that is a prefix of `text`, as darts-clone reads its units."""
    (size,) = struct.unpack_from("<I", charsmap)
    units = struct.unpack_from(f"<{size // 4}I", charsmap, 4)
    blob = charsmap[4 + size :]
    position = units[0] >> 10
    found = []
    for length, byte in enumerate(text, start=1):
        position ^= byte
        if position >= len(units) or units[position] & 0x800000FF != byte:
            break
        unit = units[position]
        position ^= unit >> 10
        if unit & 0x100:
            start = units[position] & 0x7FFFFFFF
            found.append((length, blob[start : blob.index(0, start)].decode()))
    return found


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)


@given(st.dictionaries(words.filter(bool), words, min_size=1, max_size=50), words)
def test_every_key_and_only_keys_are_found(replacements: dict[str, str], other: str) -> None:
    charsmap = build_charsmap(replacements)
    for text in [*replacements, other]:
        raw = text.encode()
        expected = [
            (len(key.encode()), target)
            for key, target in replacements.items()
            if raw.startswith(key.encode())
        ]
        assert look_up(charsmap, raw) == sorted(expected)


def test_decomposed_letters_are_composed() -> None:
    full = with_compositions({"ﬁ": "fi", "é": "é"})
    assert full["n\u0303"] == "ñ"
    assert full["ﬁ"] == "fi"
    assert "n" not in full
