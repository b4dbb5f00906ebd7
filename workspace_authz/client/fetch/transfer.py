"""One file, in chunks, from where the last attempt stopped if the server lets us.

MLflow's artifact proxy honours ``Range`` for files on its own disk. Where it keeps them in an object store,
it offers addresses that are signed for one file, and the store itself honours ``Range`` there. With neither,
a file begins anew, and the files before it are kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlsplit

import requests

from workspace_authz.client.fetch.listing import RemoteFile
from workspace_authz.client.fetch.outcome import Exit, FetchError, PassingError
from workspace_authz.client.fetch.resolving import ARTIFACTS
from workspace_authz.client.fetch.server import Retries, TrackingServer, checked
from workspace_authz.client.fetch.staging import Staging, local_errors

PRESIGNED: Final = "api/2.0/mlflow-artifacts/presigned"
_INFO: Final = "api/3.0/mlflow/server-info"
_CHUNK: Final = 1024 * 1024
_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Advance = Callable[[int], None]


@dataclass(slots=True)
class Transfer:
    """Gets files from one server into one staging directory."""

    server: TrackingServer
    staging: Staging
    advance: Advance
    """Called with the number of bytes that came; negative where they were given up."""
    _signed: bool | None = field(default=None, init=False)
    """Whether the server offers signed addresses; None until it was asked."""

    def get(self, file: RemoteFile) -> None:
        """Have ``file`` complete in the staging directory. Raises :class:`FetchError`."""
        retries, mismatches, best = Retries(self.server.sleep), 0, 0
        while True:
            try:
                digest = self._attempt(file)
            except PassingError as error:
                if (reached := self.staging.part_size) >= best + _CHUNK:
                    best = reached
                    retries.start_over()
                retries.wait(error)
                continue
            if digest in (None, self._md5()):
                self.staging.keep_part(file)
                return
            mismatches += 1
            self._give_up_part()
            if mismatches == 2:
                raise FetchError(
                    f"{file.remote} does not have the checksum that the store says.", status=Exit.UNVERIFIED
                )

    def _attempt(self, file: RemoteFile) -> str | None:
        """Get the rest of ``file``. Returns the MD5 that it must have, where the store says one."""
        start, etag = self._begun(file)
        response, signed = self._response(file, start=start if etag else 0, etag=etag)
        with response:
            if response.status_code in (412, 416):
                self._give_up_part()
                raise PassingError(f"{file.remote} has changed.")
            checked(response)
            offset = self._offset(response, start)
            if not offset:
                self._give_up_part()
            self._note(file, response.headers.get("ETag", ""))
            self._write(response, file, offset=offset)
            return _stated_md5(response) if signed else None

    def _response(self, file: RemoteFile, *, start: int, etag: str) -> tuple[requests.Response, bool]:
        """The answer, and whether the store gave it. Stores know If-Match, and not all of them If-Range."""
        path = quote(file.remote)
        resume = {"Range": f"bytes={start}-"} if start else {}
        if self._offers_signed():
            found = self.server.document(f"{PRESIGNED}/{path}")
            url, given = found.get("url"), found.get("headers") or {}
            if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
                raise FetchError("The server's signed address is no address.", status=Exit.UNVERIFIED)
            try:
                return self.server.get_elsewhere(
                    url, {**given, **resume, **({"If-Match": etag} if start else {})}
                ), True
            except PassingError:
                self._signed = False  # the store is out of reach from here: MLflow passes the content on
        headers = {**resume, **({"If-Range": etag} if start else {})}
        return self.server.get(f"{ARTIFACTS}/{path}", headers=headers), False

    def _offers_signed(self) -> bool:
        if self._signed is None:
            wanted = os.environ.get("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "").lower() not in (
                "false",
                "0",
            )
            self._signed = wanted and self._signs()
        return self._signed

    def _signs(self) -> bool:
        """What the server says of itself. Below an address that names a workspace it says nothing (404)."""
        try:
            return bool(self.server.document(_INFO).get("multipart_downloads_enabled"))
        except FetchError as error:
            if error.status != Exit.MISSING:
                raise
            return False

    def _begun(self, file: RemoteFile) -> tuple[int, str]:
        """How much of ``file`` an attempt before this one got, and of which state of the file."""
        try:
            notes: Any = json.loads(self.staging.part_notes.read_text(encoding="utf-8"))
            same = (notes["remote"], notes["size"]) == (file.remote, file.size)
            return (self.staging.part_size, str(notes["etag"])) if same else (0, "")
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""

    def _offset(self, response: requests.Response, start: int) -> int:
        """Where the content belongs: at ``start`` if the server continues, else at the beginning."""
        if response.status_code != 206:
            return 0
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start:
            self._give_up_part()
            raise PassingError("The server sent another part of the file than was asked for.")
        return start

    def _note(self, file: RemoteFile, etag: str) -> None:
        strong = "" if etag.startswith("W/") else etag  # If-Range takes no weak one (RFC 9110, 13.1.5)
        notes = {"remote": file.remote, "size": file.size, "etag": strong}
        with local_errors(self.staging.directory):
            self.staging.part_notes.write_text(json.dumps(notes), encoding="utf-8")

    def _write(self, response: requests.Response, file: RemoteFile, *, offset: int) -> None:
        length = response.headers.get("Content-Length", "")
        end = offset + int(length) if length.isdecimal() else None
        if file.size is not None and end not in (None, file.size):
            raise FetchError(
                f"{file.remote} is {end} bytes long, and {file.size} by the list.", status=Exit.UNVERIFIED
            )
        written = offset
        with local_errors(self.staging.directory), _opened(self.staging.part) as part:
            for chunk in _chunks(response):
                written += len(chunk)
                if file.size is not None and written > file.size:
                    raise FetchError(f"{file.remote} is longer than the list says.", status=Exit.UNVERIFIED)
                part.write(chunk)
                self.advance(len(chunk))
        wanted = end if file.size is None else file.size
        if wanted is not None and written < wanted:
            raise PassingError(f"The connection broke after {written} of {wanted} bytes of {file.remote}.")

    def _give_up_part(self) -> None:
        self.advance(-self.staging.part_size)
        with local_errors(self.staging.directory):
            self.staging.part.unlink(missing_ok=True)
            self.staging.part_notes.unlink(missing_ok=True)

    def _md5(self) -> str:
        with self.staging.part.open("rb") as part:
            return hashlib.file_digest(part, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _opened(part: Path) -> BinaryIO:
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644), "wb")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The content. Raises :class:`PassingError` where the connection breaks."""
    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise PassingError(f"The connection broke ({type(error).__name__}).") from error


def _stated_md5(response: requests.Response) -> str | None:
    """The MD5 of the whole file that an object store states: S3 as ETag, Google and Azure by name.

    An ETag is one only for an object that was stored in one piece, and not encrypted with a key of KMS.
    """
    headers = response.headers
    whole = headers.get("Content-MD5", "") if response.status_code == 200 else ""
    azure = headers.get("x-ms-blob-content-md5", "")
    for stated in filter(None, (whole, azure, *_google(headers.get("x-goog-hash", "")))):
        try:
            return base64.b64decode(stated, validate=True).hex()
        except binascii.Error:
            continue
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    by_customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    found = _MD5.fullmatch(headers.get("ETag", ""))
    if found is None or encrypted or by_customer or not any(map(_is_of_s3, headers)):
        return None
    return found[1]


def _is_of_s3(header: str) -> bool:
    """S3 and what speaks like it name each answer: ``x-amz-request-id``, ``x-amzn-requestid``."""
    return header.lower().startswith("x-amz")


def _google(header: str) -> list[str]:
    return [
        part.strip().removeprefix("md5=") for part in header.split(",") if part.strip().startswith("md5=")
    ]
