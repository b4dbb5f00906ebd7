"""An S3 server that is not Amazon's: moto's, as a real process. It asks nobody who they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.harness.http import Http
from tests.harness.processes import Running, free_port, running, script

_START_SECONDS = 120.0
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/s3/aws4_request"}
"""Enough for moto, which lets nobody anonymous write over an object."""


@dataclass(slots=True)
class S3:
    """Where the server is."""

    url: str
    http: Http
    state: Path
    process: Running = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)

    def start(self) -> None:
        """Start the process. It has nothing then, not even buckets."""
        port = str(urlsplit(self.url).port)
        command: list[str | Path] = [script("moto_server"), "--host", "127.0.0.1", "--port", port]
        self.process = self._stack.enter_context(running(command, log=self.state / "s3.log"))

        def ready() -> bool:
            with suppress(OSError):
                return self.http.request("GET", "/").status == 200
            return False

        self.process.wait_until(ready, seconds=_START_SECONDS)

    def stop(self) -> None:
        """End the process."""
        self._stack.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Connections are refused for as long as the block lasts.

        moto keeps everything in memory, so what it had is put back afterwards.
        """
        uris = [f"s3://{bucket}/{key}" for bucket in self._buckets() for key in self.keys(f"s3://{bucket}/")]
        kept = {uri: self.get(uri) for uri in uris}
        self.stop()
        try:
            yield
        finally:
            self.start()
            for uri, content in kept.items():
                self.put(uri, content)

    @property
    def environment(self) -> dict[str, str]:
        """What makes MLflow use it."""
        return environment_at(self.url)

    def put(self, uri: str, content: bytes) -> None:
        """Store an object, and its bucket."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for path, body in ((f"/{bucket}", None), (f"/{bucket}/{key}", content)):
            answer = self.http.request("PUT", path, headers=_SIGNED, body=body)
            assert answer.status == 200, answer.text

    def get(self, uri: str) -> bytes:
        """The content of an object."""
        answer = self.http.request("GET", f"/{uri.removeprefix('s3://')}", headers=_SIGNED)
        assert answer.status == 200, answer.text
        return answer.body

    def keys(self, uri: str, *, containing: str = "") -> list[str]:
        """The objects whose URI begins so (no more than a thousand), without the bucket."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        path = f"/{bucket}?list-type=2&prefix={quote(prefix, safe='')}"
        answer = self.http.request("GET", path, headers=_SIGNED)
        assert answer.status == 200, answer.text
        assert "<IsTruncated>false" in answer.text, "there are more"
        return [key for key in re.findall("<Key>([^<]*)</Key>", answer.text) if containing in key]

    def _buckets(self) -> list[str]:
        answer = self.http.request("GET", "/", headers=_SIGNED)
        return re.findall("<Name>([^<]*)</Name>", answer.text)

    def copy(self, source: str, target: str) -> int:
        """Copy all objects whose URI begins so, as one would copy a bucket. Returns how many there were."""
        keys = self.keys(f"{source}/")
        for key in keys:
            bucket, _, prefix = source.removeprefix("s3://").partition("/")
            self.put(f"{target}{key.removeprefix(prefix)}", self.get(f"s3://{bucket}/{key}"))
        return len(keys)

    def tag(self, uri: str) -> str:
        """The object's ETag."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        (tag,) = self.http.request("HEAD", f"/{bucket}/{key}", headers=_SIGNED).header("etag")
        return tag.strip('"')


def environment_at(url: str) -> dict[str, str]:
    """What makes MLflow use an S3 server at ``url``, which need not be there yet."""
    return {
        "MLFLOW_S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "the-servers-own",
        "AWS_SECRET_ACCESS_KEY": "the-servers-own",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def s3_server(state: Path, *, port: int | None = None) -> Iterator[S3]:
    """A server that answers, for as long as the block lasts. It forgets all at its end."""
    state.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port or free_port()}"
    with closing(Http(url)) as http:
        s3 = S3(url, http, state)
        try:
            s3.start()
            yield s3
        finally:
            s3.stop()
