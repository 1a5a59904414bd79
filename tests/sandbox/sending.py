"""A small synchronous sender: drives a provider's flows over real HTTP.

It keeps the rules of the gateway's own engine that a test would notice: a path is
joined to the base URL, the key goes to the provider's own host only, `public` calls go
without it, uploads are answered from given bytes, and a submit has one paid call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit

import requests

from providers import errors
from providers.flow import Call, Part, Reply, drive
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
    Phase,
    Provider,
    Remote,
    Snapshot,
)

FormFile = tuple[str | None, str | bytes] | tuple[str | None, str | bytes, str]

ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


@dataclass(frozen=True)
class Upload:
    """The bytes behind `upload:<n>`."""

    content: bytes
    content_type: str = "image/png"


@dataclass
class Sender:
    """Sends calls of one provider's flows; `sent` keeps them as the flow made them.

    `settings` are those of the channel. A lost answer becomes `AnswerLost`, a call that
    never left becomes `NotSent`.
    """

    base_url: str
    provider: Provider
    secret: str = "sk-test"
    settings: Mapping[str, str] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    timeout_s: float = 20.0
    sent: list[Call] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False  # no proxy between a test and its server

    def __call__(self, call: Call) -> Reply:
        self.sent.append(call)
        if call.url.startswith("upload:"):
            assert call.public, "an upload is read with a public call"
            upload = self.uploads[int(call.url.removeprefix("upload:"))]
            return Reply(200, {"content-type": upload.content_type}, upload.content)
        url = joined(self.base_url, call.url)
        if not call.public:
            self.check_host(url)
            # a signature covers the whole address, so it is complete by then
            if call.params:
                url += ("&" if "?" in url else "?") + urlencode(call.params)
            credentials = Credentials(self.secret, self.settings, time.time())
            call = self.provider.authorize(
                replace(call, url=url, params={}), credentials
            )
            url = joined(self.base_url, call.url)
        return self.exchange(call, url)

    def check_host(self, url: str) -> None:
        """The key may go to the channel's own host and the provider's hosts only."""
        host = urlsplit(url).hostname
        allowed = {urlsplit(self.base_url).hostname, *self.provider.hosts}
        assert host in allowed, f"the key would be sent to {host}"

    def exchange(self, call: Call, url: str) -> Reply:
        """One HTTP exchange; redirects are not followed."""
        try:
            response = self.session.request(
                call.method,
                url,
                params=dict(call.params) or None,
                headers=dict(call.headers),
                json=call.json,
                data=call.body,
                files=[form_part(part) for part in call.parts] or None,
                timeout=self.timeout_s,
                allow_redirects=False,
            )
        except requests.exceptions.ConnectTimeout as error:
            raise errors.NotSent(str(error)) from error
        except requests.exceptions.RequestException as error:
            refused = "refused" in str(error).lower()
            raise (errors.NotSent if refused else errors.AnswerLost)(
                f"{call.method} {url}: {error}"
            ) from error
        headers = {name.lower(): text for name, text in response.headers.items()}
        return Reply(response.status_code, headers, response.content)

    def submit(self, request: GenerationRequest) -> Snapshot:
        """Run the submit flow, which may mark one call as paid."""
        start = len(self.sent)
        try:
            return drive(self.provider.submit(request), self)
        finally:
            paid = [call.paid for call in self.sent[start:]]
            assert sum(paid) <= 1, "more than one paid call in a submit"

    def poll(self, remote: Remote) -> Snapshot:
        return drive(self.provider.poll(remote), self)

    def wait(
        self,
        snapshot: Snapshot,
        *,
        within_s: float = 20.0,
        pause_s: float = 0.05,
        watch: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> Snapshot:
        """Poll until the job has ended; `watch` sees every snapshot on the way."""
        ends_at = time.monotonic() + within_s
        remote = snapshot.remote
        while snapshot.phase not in ENDED:
            assert time.monotonic() < ends_at, f"still {snapshot.phase}"
            time.sleep(pause_s)
            assert remote is not None, "a job that goes on has an id"
            snapshot = self.poll(remote)
            remote = snapshot.remote or remote
            watch(snapshot)
        return snapshot

    def fetch(self, artifact: Artifact) -> bytes:
        """The bytes of a result: inline, with the key, or at a public link."""
        if artifact.content is not None:
            return artifact.content
        assert artifact.url is not None, "a result without a file"
        call = Call("GET", artifact.url, public=not artifact.protected)
        reply = self(call)
        assert reply.ok, f"HTTP {reply.status} for {artifact.url}"
        return reply.content


def sender(
    base_url: str,
    provider: Provider,
    secret: str = "sk-test",
    *,
    settings: Mapping[str, str] | None = None,
    uploads: Sequence[Upload] = (),
) -> Sender:
    """A sender for one channel; `base_url` replaces the provider's own.

    At the sandbox it is `sandbox.url + provider.sandbox_path`.
    """
    return Sender(base_url, provider, secret, settings or {}, uploads)


def joined(base_url: str, url: str) -> str:
    """A path below the base URL, or an absolute URL as it is."""
    return base_url.rstrip("/") + url if url.startswith("/") else url


def form_part(part: Part) -> tuple[str, FormFile]:
    """A part as requests takes it; without a file name it is a text field."""
    if part.content_type is None:
        return part.name, (part.filename, part.content)
    return part.name, (part.filename, part.content, part.content_type)
