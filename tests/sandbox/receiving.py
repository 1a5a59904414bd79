"""A receiver of webhooks: what an upstream sends arrives in a queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from providers.types import Callback

Heard = queue.Queue[tuple[dict[str, str], bytes]]


@contextmanager
def receiving() -> Iterator[tuple[str, Heard]]:
    """A server that answers 204 to every POST: its URL, and headers and bodies."""
    heard: Heard = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def next_callback(heard: Heard, within_s: float = 10.0) -> Callback:
    """The next webhook as a provider's `receive` takes it."""
    headers, body = heard.get(timeout=within_s)
    return Callback({name.lower(): text for name, text in headers.items()}, body)
