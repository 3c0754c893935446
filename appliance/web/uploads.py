"""A file that a request brings: as its body, or as the file of a form. It is handed on as it arrives."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from appliance.errors import AskerGone, Invalid

FIELD_BYTES_MAX = 64 * 1024  # of everything in a form that is not the file
_ENCODINGS = ("", "identity", "gzip", "x-gzip")


class Upload(NamedTuple):
    """`name` is the file's, '' where the request says none; `fields` are those of the form before the file, or of the
    query; `expected` is how many bytes the request has, 0 where it does not say. `chunks` raises AskerGone, Invalid."""

    name: str
    fields: Mapping[str, str]
    expected: int
    chunks: AsyncIterator[bytes]


async def received(request: Request) -> Upload:
    """The file of a request, of which hardly anything was read yet. Raises Invalid (400 malformed form, 415 encoding,
    422 no file), AskerGone."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise Invalid(
            f"the content encoding {encoding!r} is not understood; send gzip or none",
            code="unsupported_encoding",
            status=415,
        )
    length = request.headers.get("content-length", "")
    expected = int(length) if length.isdigit() and len(length) <= 18 else 0
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return Upload(request.query_params.get("name", ""), request.query_params, expected, _body(request))
    form = _Form(options.get(b"boundary", b""))
    body = _body(request)
    async for chunk in body:
        form.feed(chunk)
        if form.file_name is not None:
            break
    if form.file_name is None:
        raise Invalid("Choose a file.", code="missing", field="file")
    return Upload(form.file_name, {**request.query_params, **form.fields}, expected, _file(form, body))


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise AskerGone from None


async def _file(form: "_Form", body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        for piece in form.take():
            yield piece
        chunk = await anext(body, None)
        if chunk is None:
            break
        form.feed(chunk)
    if not form.ended:
        raise Invalid("the form is cut short", code="malformed_form", status=400)


class _Form:
    """A form up to the end of its first file."""

    def __init__(self, boundary: bytes) -> None:
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise Invalid(f"the form cannot be read: {error}", code="malformed_form", status=400) from error
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.ended = False  # the file is whole
        self._pieces: list[bytes] = []
        self._is_file = False
        self._name = ""
        self._weight = 0
        self._begin()

    def feed(self, data: bytes) -> None:
        """Raises Invalid."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Invalid(f"the form cannot be read: {error}", code="malformed_form", status=400) from error

    def take(self) -> list[bytes]:
        """What of the file has come since this was last asked."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin(self) -> None:
        self._header_name = self._header_value = self._disposition = b""
        self._value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._weigh(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._weigh(end - start)
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        file_name = options.get(b"filename")
        self._is_file = file_name is not None and self.file_name is None
        if self._is_file and file_name is not None:
            self.file_name = file_name.decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append(data[start:end])
        elif self.file_name is None:
            self._weigh(end - start)
            self._value += data[start:end]

    def _on_end(self) -> None:
        if self._is_file:
            self.ended, self._is_file = True, False
        elif self.file_name is None:
            self.fields[self._name] = self._value.decode("utf-8", "replace")

    def _weigh(self, nbytes: int) -> None:
        self._weight += nbytes
        if self._weight > FIELD_BYTES_MAX:
            raise Invalid("the form has too much beside its file", code="form_too_large", status=413)
