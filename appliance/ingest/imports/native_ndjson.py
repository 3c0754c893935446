"""NDJSON: a native event a line, as it is sent or as `GET /api/v1/export` writes it."""

from typing import Final

import msgspec

from appliance.ingest.imports.format import Context, Exact, Format, Head, Reader
from appliance.ingest.imports.native import Line, meaning
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent
from appliance.ingest.surrogates import mend_surrogates

_NAMES: Final = ("event", "event_name", "name")
_decode = msgspec.json.Decoder(Line).decode


def _recognises(head: Head) -> bool:
    line = head.first_object()
    return line is not None and any(isinstance(line.get(name), str) for name in _NAMES)


def _reader(head: Head, context: Context) -> Reader:
    def read(text: str) -> Sent | Exact:
        try:
            line = _decode(mend_surrogates(text.encode()))
        except msgspec.ValidationError as error:
            raise Rejected("wrong_type", "", str(error)) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Rejected("malformed_line", "", "the line is not a JSON object") from None
        return meaning(line, context)

    return read


FORMAT: Final = Format("ndjson", "native events, one a line, also our own export", "line", _recognises, _reader, True)
