"""Hunyuan (Tencent Cloud): images and videos, as jobs of three signed services.

Every call is a POST to `/`; the action is a header. The services are hosts of their
own, so each is a provider here: images (`hunyuan`), videos (`hunyuan-video`, VCLM) and
older images (`hunyuan-aiart`). Documentation: cloud.tencent.com/document/product/1729,
1616, 1668 and 213/30654, and the classes of the official SDK, read November 2026
(docs/providers/hunyuan.md).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from providers import errors
from providers.dialects import hunyuan_bodies as bodies
from providers.dialects import hunyuan_models as catalogue
from providers.dialects import hunyuan_results as results
from providers.dialects import tencent_tc3
from providers.dialects.hunyuan_models import AIART, BY_QUERY, HUNYUAN, VCLM, Service
from providers.flow import Call, Flow
from providers.types import (
    Credentials,
    GenerationRequest,
    Model,
    Provider,
    Remote,
    Snapshot,
)

REGION = "ap-guangzhou"  # the only one these actions have
NO_JOB = "1000000000000000000"


def authorize(call: Call, credentials: Credentials, *, service: Service) -> Call:
    """Sign with SecretId and SecretKey; the setting `region` names another region."""
    return tencent_tc3.signed(
        call,
        tencent_tc3.read_pair(credentials.secret),
        host=service.host,
        service=service.name,
        region=credentials.settings.get("region") or REGION,
        now=credentials.now,
    )


def action_call(
    service: Service, action: str, body: Any, *, paid: bool = False
) -> Call:
    headers = {"X-TC-Action": action, "X-TC-Version": service.version}
    return Call("POST", "/", headers=headers, json=body, paid=paid)


def submit(request: GenerationRequest, *, service: Service) -> Flow[Snapshot]:
    """Start one job, or wait for the image of the one synchronous model; billed.

    A job more than the account may run is refused, it does not queue.
    """
    offer = catalogue.find_offer(request.model, service)
    if offer is None:
        raise errors.ModelRefused(f"Tencent's {service.name} has no {request.model}")
    body = yield from bodies.write(request, offer)
    reply = yield action_call(service, offer.action, body, paid=True)
    response = results.check(reply)
    if offer.model.sync:
        return results.read_image(response)
    return results.read_accepted(response, offer.query)


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one job by the action that belongs to its submit."""
    offer = BY_QUERY[remote.links["query"]]
    reply = yield action_call(offer.service, offer.query, {"JobId": remote.id})
    return results.read_job(results.check(reply), offer.answers)


def test(service: Service) -> Flow[None]:
    """Ask for a job that does not exist: a good key is told so."""
    query = next(offer.query for offer in BY_QUERY.values() if offer.service == service)
    reply = yield action_call(service, query, {"JobId": NO_JOB})
    try:
        results.check(reply)
    except (errors.NotFound, errors.Rejected) as error:
        if not error.code:  # a wrong base URL
            raise


def describe(name: str, *, service: Service) -> Model | None:
    offer = catalogue.find_offer(name, service)
    return offer.model if offer else None


PROVIDER = Provider(
    name="hunyuan",
    title="Hunyuan (Tencent)",
    base_url=f"https://{HUNYUAN.host}",
    env=("HUNYUAN_API_KEY",),
    models=catalogue.models_of(HUNYUAN),
    describe=partial(describe, service=HUNYUAN),
    authorize=partial(authorize, service=HUNYUAN),
    submit=partial(submit, service=HUNYUAN),
    poll=poll,
    test=partial(test, HUNYUAN),
    # an image's; those of a talk live for seven days
    links_live_s=3600,
    poll_spacing_s=2.0,
    sandbox_path="/hunyuan/images",
)
VIDEO = replace(
    PROVIDER,
    name="hunyuan-video",
    title="Hunyuan videos (Tencent)",
    base_url=f"https://{VCLM.host}",
    models=catalogue.models_of(VCLM),
    describe=partial(describe, service=VCLM),
    authorize=partial(authorize, service=VCLM),
    submit=partial(submit, service=VCLM),
    test=partial(test, VCLM),
    links_live_s=24 * 3600,
    poll_spacing_s=5.0,
    sandbox_path="/hunyuan/videos",
)
ART = replace(
    PROVIDER,
    name="hunyuan-aiart",
    title="Hunyuan older images (Tencent)",
    base_url=f"https://{AIART.host}",
    models=catalogue.models_of(AIART),
    describe=partial(describe, service=AIART),
    authorize=partial(authorize, service=AIART),
    submit=partial(submit, service=AIART),
    test=partial(test, AIART),
    sandbox_path="/hunyuan/aiart",
)
