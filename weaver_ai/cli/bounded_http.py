"""uvicorn's HTTP/1.1 protocol, with an end to what a client may send before and after a body.

httptools keeps a header until it is whole, however long it gets; a hundred megabytes of one hold up everybody else's
requests for a minute. The body has a limit of its own, in the gateway.
"""

from __future__ import annotations

import json
from typing import Final, final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["MOST_BYTES", "BoundedHttp"]

MOST_BYTES: Final = 65_536  # as h11 has it
_PROBLEM: Final = json.dumps(
    {
        "type": "about:blank",
        "title": "Request Header Fields Too Large",
        "status": 431,
        "detail": f"The request line and the headers may have {MOST_BYTES:,} bytes.",
    }
).encode()
_ANSWER: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


@final
class BoundedHttp(HttpToolsProtocol):
    """Answers 431, and closes, when more comes than MOST_BYTES and neither a head ends nor a part of a body is in it.

    So it is with a request line, headers, extensions of chunks, and trailers that don't end.
    """

    _unfinished = 0
    _got_on = False

    def data_received(self, data: bytes) -> None:
        self._got_on = False
        super().data_received(data)
        self._unfinished = 0 if self._got_on else self._unfinished + len(data)
        if self._unfinished > MOST_BYTES and not self.transport.is_closing():
            self.logger.warning("Request headers are larger than %d bytes.", MOST_BYTES)
            cycle: RequestResponseCycle | None = self.cycle
            if cycle is None or cycle.response_complete:  # else this would stand in the midst of an answer
                self.transport.write(_ANSWER)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._got_on = True
        super().on_message_complete()
