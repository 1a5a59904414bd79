"""Is the process alive, and does the database answer."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, g

from app.api.problems import success
from app.errors import NotReady
from app.store import health

logger = logging.getLogger(__name__)

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> Response:
    """This process answers; nothing else is asked."""
    return success({"status": "alive"}, {})


@bp.get("/readyz")
def ready() -> Response:
    """The database answers and has our tables."""
    try:
        with g.rt.reading() as tx:
            health.look(tx)
    except (*health.OUTAGES, *health.NOT_MIGRATED) as error:
        logger.warning("not ready", extra={"error": str(error)})
        raise NotReady("the database does not answer or is not migrated") from error
    return success({"status": "ready"}, {})
