"""The description of the API (`/openapi.json`) and a page to read and try it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, abort

from app.api.openapi import describe

bp = Blueprint("docs", __name__)

# The page is ours; what it runs comes from a package, never from another host.
ASSETS = {
    "page.css": ("app.api", "docs_page", "text/css"),
    "page.js": ("app.api", "docs_page", "text/javascript"),
    "favicon-32x32.png": ("flask_swagger_ui", "dist", "image/png"),
    "swagger-ui.css": ("flask_swagger_ui", "dist", "text/css"),
    "swagger-ui-bundle.js": ("flask_swagger_ui", "dist", "text/javascript"),
}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "public, max-age=300",
}
ASSET_HEADERS = {"Cache-Control": "public, max-age=3600"}


@bp.get("/docs")
def page() -> Response:
    """The page."""
    content = (files("app.api") / "docs_page" / "index.html").read_bytes()
    return Response(content, headers=PAGE_HEADERS, mimetype="text/html")


@bp.get("/docs/<name>")
def asset(name: str) -> Response:
    """What the page loads."""
    if name not in ASSETS:
        abort(404)
    package, folder, content_type = ASSETS[name]
    found: Traversable = files(package) / folder / name
    return Response(found.read_bytes(), headers=ASSET_HEADERS, mimetype=content_type)


@bp.get("/openapi.json")
def description() -> Response:
    """The description, as OpenAPI 3.1."""
    return Response(
        _description_json(), headers=ASSET_HEADERS, mimetype="application/json"
    )


@cache
def _description_json() -> str:
    return json.dumps(describe())
