"""A form's file comes out as it went in, however the form was cut into pieces."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from appliance.errors import AskerGone, Invalid
from appliance.web.uploads import received

FILE = b"\r\n--edge\r\nnot the end --edge-\r\n" + bytes(range(256))
FORM = (
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="format"\r\n\r\ncombined\r\n'
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="file"; filename="\xc3\xa4 log.gz"\r\nContent-Type: application/gzip\r\n\r\n'
    + FILE.replace(b"--edge", b"--Edge")
    + b"\r\n--edge\r\n"
    b'Content-Disposition: form-data; name="other"; filename="b"\r\n\r\nsomething else\r\n'
    b"--edge--\r\n"
)


def request_of(pieces: list[bytes], headers: dict[str, str], *, gone: bool = False, query: bytes = b"") -> Request:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query, "headers": raw}
    return Request(scope, receive)


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


AS_FORM = {"content-type": "multipart/form-data; boundary=edge"}


@pytest.mark.parametrize("size", [1, 2, 7, 64, len(FORM)])
async def test_the_file_of_a_form(size: int) -> None:
    pieces = [FORM[place : place + size] for place in range(0, len(FORM), size)]
    sent = await received(request_of(pieces, AS_FORM | {"content-length": str(len(FORM))}))
    assert (sent.name, dict(sent.fields), sent.expected) == ("ä log.gz", {"format": "combined"}, len(FORM))
    assert await whole(sent.chunks) == FILE.replace(b"--edge", b"--Edge")


async def test_a_form_that_breaks_off() -> None:
    half = FORM[: FORM.index(b"\r\n--edge\r\n", 200)]
    sent = await received(request_of([half], AS_FORM))
    with pytest.raises(Invalid, match="cut short"):
        await whole(sent.chunks)
    sent = await received(request_of([half], AS_FORM, gone=True))
    with pytest.raises(AskerGone):
        await whole(sent.chunks)
    with pytest.raises(AskerGone):
        await received(request_of([FORM[:30]], AS_FORM, gone=True))


async def test_a_body_is_the_file_itself() -> None:
    sent = await received(request_of([b"ab", b"", b"c"], {"content-length": "x"}, query=b"name=n&source=s"))
    assert (sent.name, sent.fields["source"], sent.expected) == ("n", "s", 0)
    assert await whole(sent.chunks) == b"abc"
