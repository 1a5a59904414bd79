"""Jimeng (Volcengine): images and videos of one flat API, where the action is a query.

Every call is a signed POST, the poll too, which must repeat the `req_key` of the
submit. Documentation: volcengine.com/docs/85621 and 6444, read November 2026
(docs/providers/jimeng.md).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from providers import errors
from providers.dialects import jimeng_bodies as bodies
from providers.dialects import jimeng_models as catalogue
from providers.dialects import jimeng_results as results
from providers.dialects import volcengine_v4
from providers.flow import Call, Flow
from providers.payload import merged
from providers.types import Credentials, GenerationRequest, Provider, Remote, Snapshot

BASE_URL = "https://visual.volcengineapi.com"
REGION = "cn-north-1"
SERVICE = "cv"

VERSION = "2022-08-31"
SUBMIT = {"Action": "CVSync2AsyncSubmitTask", "Version": VERSION}
RESULT = {"Action": "CVSync2AsyncGetResult", "Version": VERSION}
PROCESS = {"Action": "CVProcess", "Version": VERSION}

OURS = ("req_key",)
NO_TASK = "1000000000000000000"


def authorize(call: Call, credentials: Credentials) -> Call:
    """Sign with the access key; the channel's setting `region` names another region."""
    return volcengine_v4.signed(
        call,
        volcengine_v4.read_key(credentials.secret),
        host=urlsplit(BASE_URL).netloc,
        region=credentials.settings.get("region") or REGION,
        service=SERVICE,
        now=credentials.now,
    )


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task, or wait for the image of the one synchronous model; billed."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Jimeng offers no model {request.model}")
    options = bodies.poll_options(request.metadata)
    body = yield from bodies.write(request, offer)
    extra = {
        name: value for name, value in request.metadata.items() if name != "req_json"
    }
    body = merged(body, extra, keep=OURS)
    action = PROCESS if offer.model.sync else SUBMIT
    reply = yield Call("POST", "/", params=action, json=body, paid=True)
    try:
        data = results.check(reply)
    except errors.NotFound as error:  # there is no job yet: it is the path
        raise errors.ChannelRefused(
            str(error), code=error.code, status=error.status
        ) from error
    if offer.model.sync:
        return results.read_outputs(data)
    return results.read_accepted(
        data, {"req_key": body["req_key"], "req_json": options}
    )


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one task; what went wrong with it comes as an error of this call."""
    body = {
        "req_key": remote.links["req_key"],
        "task_id": remote.id,
        "req_json": remote.links["req_json"],
    }
    reply = yield Call("POST", "/", params=RESULT, json=body)
    return results.read_task(reply)


def test() -> Flow[None]:
    """Ask for a task that does not exist: a good key is told so."""
    body = {"req_key": "jimeng_t2i_v40", "task_id": NO_TASK}
    reply = yield Call("POST", "/", params=RESULT, json=body)
    try:
        results.check(reply)
    except errors.Rejected:  # the key was good enough to look at the parameters
        return


PROVIDER = Provider(
    name="jimeng",
    title="Jimeng (Volcengine)",
    base_url=BASE_URL,
    env=("JIMENG_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    test=test,
    # a film's link; an image's lives for a day
    links_live_s=3600,
    poll_spacing_s=3.0,
    sandbox_path="/jimeng",
)
