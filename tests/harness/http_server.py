"""A server of the standard library on loopback, in a thread, that answers JSON."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_POLL_SECONDS = 0.05


class JsonHandler(BaseHTTPRequestHandler):
    """Answers requests. Says nothing."""

    def read(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, document: object, *, status: int = 200) -> None:
        """Send a document as JSON."""
        self.send(json.dumps(document).encode(), status=status)

    def send(self, content: bytes, *, status: int) -> None:
        """Send bytes that are said to be JSON."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], *, certificate: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Its address, ``http://127.0.0.1:<port>``, for as long as the block lasts.

    With the files of a certificate and its key it is ``https://``.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
