"""A receiver of callbacks on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

from providers.types import Callback


@dataclass(frozen=True)
class Listener:
    """Its address, and the callbacks as they come."""

    url: str
    heard: Queue[Callback] = field(default_factory=Queue)

    def next(self, within_s: float = 10.0) -> Callback:
        """The next callback; `queue.Empty` when none comes in time."""
        return self.heard.get(timeout=within_s)


@contextmanager
def listening() -> Iterator[Listener]:
    """Answer every POST with 200 and keep it while the block runs."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.heard.put(Callback(headers, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    listener = Listener(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
