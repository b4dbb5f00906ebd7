"""An S3 server that is not Amazon's: moto's, as a real process. It asks nobody who they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.harness.http import Http
from tests.harness.processes import Running, free_port, running, script

_START_SECONDS = 120.0
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/s3/aws4_request"}
"""Enough for moto, which lets nobody anonymous write over an object."""


@dataclass(frozen=True, slots=True)
class S3:
    """Where the server is."""

    url: str
    http: Http
    process: Running

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
        """The objects whose URI begins so (at most a thousand of them), without the bucket."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        path = f"/{bucket}?list-type=2&prefix={quote(prefix, safe='')}"
        answer = self.http.request("GET", path, headers=_SIGNED)
        assert answer.status == 200, answer.text
        return [key for key in re.findall("<Key>([^<]*)</Key>", answer.text) if containing in key]

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
    port = port or free_port()
    command: list[str | Path] = [script("moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with running(command, log=state / "s3.log") as process:
        url = f"http://127.0.0.1:{port}"
        with closing(Http(url)) as http:

            def ready() -> bool:
                with suppress(OSError):
                    return http.request("GET", "/").status == 200
                return False

            process.wait_until(ready, seconds=_START_SECONDS)
            yield S3(url, http, process)
