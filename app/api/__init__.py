"""The HTTP API: Flask and marshmallow live here only."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, current_app, g, request

from app.api import admin, docs, health, models, problems, results, tasks, upstream
from app.api.web_process import WebProcess

REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{8,64}")


def register(flask_app: Flask, web: WebProcess) -> None:
    """Add every route, and answer every error, of one web process."""
    # A doubled slash is an unknown address, not a redirect to a page of HTML.
    flask_app.url_map.merge_slashes = False
    problems.register(flask_app)
    for module in (tasks, results, models, admin, upstream, health, docs):
        flask_app.register_blueprint(module.bp)

    @flask_app.before_request
    def begin() -> Response | None:
        g.rt, g.web = web.rt, web
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        if request.method == "OPTIONS" and request.url_rule is not None:
            return _options()
        return None

    @flask_app.after_request
    def end(answer: Response) -> Response:
        answer.headers["X-Request-Id"] = g.get("request_id", "")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _options() -> Response:
    allowed = current_app.make_default_options_response().headers["Allow"]
    answer = Response(status=204, headers={"Allow": allowed})
    del answer.headers["Content-Type"]
    return answer
