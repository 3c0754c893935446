"""Half characters in JSON: a script that cuts a text in the middle of an emoji sends one of its two UTF-16 halves
("\\ud83d"), which no UTF-8 text can hold. It stands for a character that was lost, so U+FFFD takes its place."""

import re

_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole character: stays
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # a half
    rb"|\\."  # any other escape, so that the backslash of an escaped backslash is not taken for one
)


def mend_surrogates(body: bytes) -> bytes:
    """The JSON text with every lone half replaced; the same object when there is none."""
    # One byte is looked for ten times as fast as three, and most bodies do not have it.
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return body
    return _ESCAPES.sub(lambda found: b"\\ufffd" if len(found[0]) == 6 else found[0], body)
