"""The web server: `create_app` for any WSGI server, `serve` with waitress.

With another server, `app.wsgi:application()` makes the app from the environment.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]

from app.api import register
from app.api.task_requests import SLACK_BYTES
from app.api.web_process import WebProcess, open_web_process
from app.bells import Ringer, make_celery
from app.logs import setup_logs
from app.runtime import Runtime, open_runtime
from app.settings import Settings, with_secret_key
from app.web_sockets import Channel, Sockets, Task, Threads
from providers.types import Provider

logger = logging.getLogger(__name__)

WEB_PROCESS = "genrelay.web"

# A body that is a little too long is read to its end, so that the client, which reads
# only then, gets its 413; beyond that the connection is closed.
READ_ANYWAY = 2
CONNECTIONS = 2000
HEADER_BYTES = 64 * 1024
IDLE_S = 120
STOP_S = 5.0

ERROR_CODES = {
    400: "invalid_request",
    413: "too_large",
    431: "headers_too_large",
    501: "not_implemented",
}


def create_app(
    runtime: Runtime, providers: Mapping[str, Provider] | None = None
) -> Flask:
    """The Flask app of one process; what it keeps is in its extensions.

    `providers` stand in for those of the runtime.
    """
    flask_app = Flask("genrelay", static_folder=None)
    web = open_web_process(
        runtime, runtime.providers if providers is None else providers
    )
    flask_app.extensions[WEB_PROCESS] = web
    register(flask_app, web)
    return flask_app


def application() -> Flask:
    """The app by the environment's settings, for servers that take a factory."""
    settings = with_secret_key(Settings.from_env(os.environ))
    setup_logs(settings.log_level)
    ringer = Ringer(make_celery(settings))
    return create_app(
        open_runtime(settings, ringer.ring, pool_size=settings.web_threads)
    )


def serve(flask_app: Flask, settings: Settings) -> WebServer:
    """A server that answers already, in threads of its own; port 0 is any free one."""
    return WebServer(flask_app, settings)


class WebServer:
    """A running web server; `close` may be called from any thread."""

    def __init__(self, flask_app: Flask, settings: Settings) -> None:
        self._web: WebProcess = flask_app.extensions[WEB_PROCESS]
        self._map = Sockets()
        self._threads = Threads(settings.web_threads)
        self._server: Any = create_server(
            flask_app,
            map=self._map,
            _start=False,
            _dispatcher=self._threads,
            listen=_listen(settings.web_host, settings.web_port),
            ident="genrelay",
            backlog=CONNECTIONS,
            channel_timeout=IDLE_S,
            connection_limit=CONNECTIONS,
            log_socket_errors=False,
            max_request_body_size=READ_ANYWAY
            * (settings.max_upload_bytes + SLACK_BYTES),
            max_request_header_size=HEADER_BYTES,
        )
        self._web.waiting.use(self._threads.wait)
        self._server.channel_class = _Channel
        self._server.pull_trigger = partial(self._map.wake, self._server)
        self._server.accept_connections()
        self.host = settings.web_host
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(
            target=self._map.serve,
            args=(self._server,),
            name="web server",
            daemon=True,
        )
        self._thread.start()
        self._closed = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        written = f"[{reached}]" if ":" in reached else reached
        return f"http://{written}:{self.port}"

    def wait(self) -> None:
        """Block until the server is closed."""
        while self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def close(self) -> None:
        """Take no more requests, answer those that were taken, stop."""
        if not self._closed.acquire(blocking=False) or not self._thread.is_alive():
            return
        # Sockets belong to the server's own thread: it closes them when it is woken.
        self._on_server_thread(self._stop_listening)
        self._web.close()
        self._threads.shutdown(timeout=STOP_S)
        self._on_server_thread(self._close_all)
        self._thread.join(timeout=STOP_S)

    def _on_server_thread(self, do: Any) -> None:
        with suppress(OSError):
            self._server.trigger.pull_trigger(do)

    def _stop_listening(self) -> None:
        self._server.accepting = False
        wasyncore.dispatcher.close(self._server)

    def _close_all(self) -> None:
        wasyncore.close_all(self._map, ignore_all=True)


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """What waitress refuses by itself, in the envelope."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps(
            {
                "code": ERROR_CODES.get(error.code, "invalid_request"),
                "message": f"{error.reason.lower()}: {error.body}",
                "data": None,
            }
        ).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(Channel):
    task_class = Task
    error_task_class = _ErrorTask
