"""A workspace's own artifact root: what its ``MLflowConfig`` and Secret say, and what an operator allows.

Tenants write both objects, and MLflow opens the place with the server's own credentials. So only a bucket of
the operator's list counts, and every root ends with ``workspaces/<namespace>``. The path before that may not
hold what MLflow itself puts below a root, so that no root lies in the folder of another workspace, of an
experiment from before workspaces, or of a skill.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.listwatch_answers import JsonObject, object_key
from workspace_authz.settings.variables import listed

CONFIG_NAME: Final = "mlflow"
SECRET_NAME: Final = "mlflow-artifact-connection"  # noqa: S105 - the name of a Secret
BUCKET_KEY: Final = "AWS_S3_BUCKET"
"""The one key of the Secret that is read."""

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_NAMESPACES: Final = re.compile(r"[a-z0-9*?\[\]!-]+")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")
_RESERVED: Final = re.compile(r"workspaces|skills|[0-9]+")
"""The folders that MLflow makes below a root: of workspaces, of skills (3.18) and of experiments by id."""
LONGEST_PATH: Final = 512
_ENCODED_BUCKET: Final = 512

WRONG_SECRET: Final = f"spec.artifactRootSecret must be {SECRET_NAME}."
WRONG_PATH: Final = (
    f"spec.artifactRootPath must be relative, at most {LONGEST_PATH} characters long, and made of letters, "
    "digits and . _ - =, with neither empty nor dot segments. No segment may be 'workspaces', 'skills' or a "
    "number."
)
NO_SECRET: Final = f"the namespace has no Secret {SECRET_NAME} with the key {BUCKET_KEY}."
# The bucket is not named: what somebody put into a Secret by mistake must not be shown to others.
WRONG_BUCKET: Final = (
    f"the bucket in the Secret {SECRET_NAME} is none that the administrator of MLflow allows for this "
    "namespace (WORKSPACE_AUTHZ_ARTIFACT_BUCKETS)."
)


@dataclass(frozen=True, slots=True)
class ArtifactBuckets:
    """The buckets in which workspaces may keep artifacts, each with a glob pattern of namespaces."""

    entries: tuple[tuple[str, str], ...]

    def allow(self, bucket: str, *, namespace: str) -> bool:
        """Whether ``namespace`` may choose ``bucket``."""
        return any(bucket == name and fnmatchcase(namespace, glob) for name, glob in self.entries)

    @property
    def roots(self) -> tuple[str, ...]:
        """The buckets as URIs."""
        return tuple(dict.fromkeys(f"s3://{name}" for name, _ in self.entries))


@dataclass(frozen=True, slots=True)
class RootConfig:
    """An ``MLflowConfig`` that asks for a root of its own."""

    path: str = ""
    """Below the bucket; empty for the bucket itself."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """What an ``MLflowConfig`` leads to: a root, or the problem why there is none."""

    root: str | None = None
    """Where MLflow puts the folders of the workspace's experiments."""
    problem: str | None = None
    """A sentence for the people of the namespace."""


def artifact_buckets(setting: str | None) -> ArtifactBuckets | None:
    """The setting ``artifact_buckets``; None unless set. Raises :class:`ConfigurationError`."""
    entries = []
    for text in listed(setting):
        bucket, equals, namespaces = text.partition("=")
        if not _BUCKET.fullmatch(bucket) or (equals and not _NAMESPACES.fullmatch(namespaces)):
            raise ConfigurationError(
                f"WORKSPACE_AUTHZ_ARTIFACT_BUCKETS: {text} is no bucket. Write its bare name, as team-data, "
                "or with a namespace or a glob pattern of namespaces, as team-data=team-a."
            )
        entries.append((bucket, namespaces or "*"))
    return ArtifactBuckets(tuple(entries)) if entries else None


def read_config(item: JsonObject) -> RootConfig | None:
    """Reduce an ``MLflowConfig``; None if it leaves the artifact root to the server."""
    if object_key(item)[1] != CONFIG_NAME:
        return None
    spec = item.get("spec")
    if not isinstance(spec, dict):
        return None
    secret, path = spec.get("artifactRootSecret"), spec.get("artifactRootPath")
    if secret is None and path is None:
        return None
    if secret != SECRET_NAME:
        return RootConfig(problem=WRONG_SECRET)
    text = path if path is not None else ""
    if not isinstance(text, str) or not _is_path(text):
        return RootConfig(problem=WRONG_PATH)
    return RootConfig(text.removesuffix("/"))


def read_bucket(item: JsonObject) -> str | None:
    """The bucket that a Secret names, if it is ours and names one. Nothing else of it is read."""
    data = item.get("data")
    encoded = data.get(BUCKET_KEY) if isinstance(data, dict) else None
    if object_key(item)[1] != SECRET_NAME or not isinstance(encoded, str) or len(encoded) > _ENCODED_BUCKET:
        return None
    try:
        # `kubectl create secret --from-file` keeps the file's last newline.
        return base64.b64decode(encoded, validate=True).decode().strip() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def override(config: RootConfig, bucket: str | None, *, namespace: str, buckets: ArtifactBuckets) -> Override:
    """What ``config`` leads to with the ``bucket`` of the namespace's Secret."""
    problem = config.problem
    if problem is None and bucket is None:
        problem = NO_SECRET
    if problem is None and not buckets.allow(bucket or "", namespace=namespace):
        problem = WRONG_BUCKET
    if problem is not None:
        return Override(problem=problem)
    above = f"{bucket}/{config.path}" if config.path else bucket
    return Override(root=f"s3://{above}/workspaces/{namespace}")


def _is_path(text: str) -> bool:
    if not text:
        return True
    segments = text.removesuffix("/").split("/")
    return len(text) <= LONGEST_PATH and all(
        _SEGMENT.fullmatch(segment) and not _RESERVED.fullmatch(segment) for segment in segments
    )
