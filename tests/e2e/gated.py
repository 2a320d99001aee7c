"""An upstream that sends one piece of a stream for each time a test lets it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PIECES = [b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % i
          for i in range(4)] + [b"data: [DONE]\n\n"]  # fmt: skip


class Gated:
    """Serves chat completions as streams of PIECES; use as a context manager."""

    def __init__(self) -> None:
        gate = self.gate = threading.Semaphore(0)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in [*PIECES, b""]:
                    assert gate.acquire(timeout=60)
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

            def log_message(self, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def let(self, pieces: int = 1) -> None:
        """Let that many pieces go out."""
        self.gate.release(pieces)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
