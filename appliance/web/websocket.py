"""uvicorn's WebSocket protocol with what it leaves out: it does not pass on what the library answers to a request whose
headers are too large, takes a refusal for a mistake of ours, and leaves it to those who are gone to take what was
written."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=WebSocketProtocol)`."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # or it is said in the log that there was no answer

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
