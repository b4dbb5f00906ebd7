"""MLflow's REST API as one caller: a token with each request, bounded retries, errors in MLflow's words."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import requests

from workspace_authz.client.environment import SERVER
from workspace_authz.client.fetch.outcome import Exit, FetchError, PassingError
from workspace_authz.client.sources import Tokens
from workspace_authz.errors import ConfigurationError

WORKSPACE: Final = "X-MLFLOW-WORKSPACE"
ATTEMPTS: Final = 6
"""How often something is tried before it has failed for good."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 120.0
_CONTENT_SECONDS: Final = 600.0
"""Before the first byte of content comes, MLflow fetches the whole file from its own store."""
_ANSWER_BYTES: Final = 64 * 1024 * 1024
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MESSAGE_LENGTH: Final = 600

Sleep = Callable[[float], None]


class Retries:
    """Counts failed attempts at one thing, and waits between them. The wait doubles, with jitter."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._failed = 0

    def start_over(self) -> None:
        """There was progress: count anew."""
        self._failed = 0

    def wait(self, error: PassingError) -> None:
        """Note that an attempt failed, and wait. Raises :class:`FetchError` when it was the last."""
        self._failed += 1
        if self._failed >= ATTEMPTS:
            message = f"{error} That was attempt {self._failed}, the last."
            raise FetchError(message, status=Exit.UNAVAILABLE) from error
        longest = min(_FIRST_WAIT * 2 ** (self._failed - 1), _LONGEST_WAIT)
        asked = min(error.after or 0.0, _LONGEST_WAIT)
        self._sleep(max(asked, longest * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter


class Credential(Protocol):
    """Who asks. Read anew for each request, because tokens are renewed."""

    def header(self, url: str) -> str:
        """The value of ``Authorization``. Raises :class:`ConfigurationError`."""

    def workspace(self, url: str) -> str:
        """The namespace that belongs to it, or empty."""

    def rejected(self) -> None:
        """The server did not accept it."""


@dataclass(frozen=True, slots=True)
class GivenCredential:
    """One that variables of the SDK hold."""

    value: str = field(repr=False)

    def header(self, url: str) -> str:
        """See :class:`Credential`."""
        return self.value

    def workspace(self, url: str) -> str:
        """See :class:`Credential`."""
        return ""

    def rejected(self) -> None:
        """See :class:`Credential`."""


class FoundCredential:
    """The pod's own, where the client plugin finds it."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._last = ""

    def header(self, url: str) -> str:
        """See :class:`Credential`."""
        self._last = self._tokens.find(url).token
        return f"Bearer {self._last}"

    def workspace(self, url: str) -> str:
        """See :class:`Credential`."""
        return self._tokens.find(url).workspace or ""

    def rejected(self) -> None:
        """See :class:`Credential`."""
        self._tokens.rejected(self._last)


@dataclass(slots=True)
class TrackingServer:
    """One server. Its redirects are not followed, so that the token goes to its address only."""

    base: str
    credential: Credential
    workspace: str = ""
    verify: bool | str = True
    sleep: Sleep = time.sleep
    _session: requests.Session = field(default_factory=requests.Session, init=False, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> TrackingServer:
        """As MLflow's SDK reads its variables. Raises :class:`ConfigurationError`."""
        base = environ.get(SERVER, "").strip().rstrip("/")
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
            raise ConfigurationError(
                f"{SERVER} is the server's address: it begins with https:// or http:// and holds no password."
            )
        insecure = environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
        verify = False if insecure else environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
        return cls(base, _credential(environ), environ.get("MLFLOW_WORKSPACE", "").strip(), verify)

    def document(self, path: str, /, **query: str) -> dict[str, Any]:
        """The JSON document at ``path``, tried several times. Raises :class:`FetchError`."""
        retries = Retries(self.sleep)
        while True:
            try:
                with self.get(path, query=query, seconds=_ANSWER_SECONDS) as response:
                    return _document(checked(response), self.base)
            except PassingError as error:
                retries.wait(error)

    def get(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = _CONTENT_SECONDS,
    ) -> requests.Response:
        """One answer, whatever its status, but a 401 only where a token that was found anew has it too.

        Raises :class:`PassingError` where none came, and :class:`FetchError` where the certificate cannot be
        verified.
        """
        url = f"{self.base}/{path}"
        workspace = self.workspace or self.credential.workspace(url)
        sent = {
            "Accept-Encoding": "identity",
            **({WORKSPACE: workspace} if workspace else {}),
            **(headers or {}),
        }
        send = partial(
            self._send, url, query=query, headers=sent, auth=self._sign, verify=self.verify, seconds=seconds
        )
        try:
            response = send()
            if response.status_code != 401:
                return response
            response.close()
            self.credential.rejected()
            return send()
        except requests.exceptions.SSLError as error:
            raise FetchError(
                f"The certificate of {_host(url)} cannot be verified ({_reason(error)}): set "
                "MLFLOW_TRACKING_SERVER_CERT_PATH to the file of its CA.",
                status=Exit.CONFIGURATION,
            ) from error

    def get_elsewhere(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """One answer of a store for which MLflow signed ``url``. It gets no token and no workspace.

        Raises :class:`PassingError` where none came, also for a certificate: MLflow can pass the content on.
        """
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            return self._send(
                url, query=None, headers=sent, auth=_as_it_is, verify=True, seconds=_CONTENT_SECONDS
            )
        except requests.exceptions.SSLError as error:
            raise PassingError(f"The certificate of {_host(url)} cannot be verified.") from error

    def _sign(self, request: Any) -> Any:
        request.headers["Authorization"] = self.credential.header(request.url)
        return request

    def _send(
        self,
        url: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        auth: Any,
        verify: bool | str,
        seconds: float,
    ) -> requests.Response:
        try:
            return self._session.get(
                url,
                params=query,
                headers=dict(headers),
                auth=auth,
                stream=True,
                allow_redirects=False,
                verify=verify,
                timeout=(_CONNECT_SECONDS, seconds),
            )
        except requests.exceptions.SSLError:
            raise
        except (requests.RequestException, OSError) as error:
            raise PassingError(f"{_host(url)} does not answer ({_reason(error)}).") from error
        finally:
            self._session.cookies.clear()


def checked(response: requests.Response) -> requests.Response:
    """``response`` if it is a success.

    Raises :class:`PassingError` for what may pass, else :class:`FetchError` with the server's own words.
    """
    status = response.status_code
    if status in (200, 206):
        return response
    words = _words(response)
    host = _host(response.url or "")
    if 300 <= status < 400:
        raise FetchError(
            f"{host} redirects to another address, where the token is not sent: {SERVER} must be the address "
            "of MLflow itself, with its scheme and its prefix.",
            status=Exit.CONFIGURATION,
        )
    if status in _PASSING:
        raise PassingError(f"{host} answers {status}{words}", after=_retry_after(response))
    kinds = {401: Exit.UNAUTHENTICATED, 403: Exit.FORBIDDEN, 404: Exit.MISSING}
    raise FetchError(f"{host} answers {status}{words}", status=kinds.get(status, Exit.CONFIGURATION))


def _credential(environ: Mapping[str, str]) -> Credential:
    token = environ.get("MLFLOW_TRACKING_TOKEN", "").strip()
    name = environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = environ.get("MLFLOW_TRACKING_PASSWORD", "").strip()
    if token and password:
        raise ConfigurationError(
            "MLFLOW_TRACKING_TOKEN and MLFLOW_TRACKING_PASSWORD are both set: unset one."
        )
    if token:
        return GivenCredential(f"Bearer {token}")
    if password:
        return GivenCredential("Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())
    return FoundCredential(Tokens(environ))


def _as_it_is(request: Any) -> Any:
    """Without an ``auth`` of its own, requests would look into ~/.netrc."""
    return request


def _document(response: requests.Response, base: str) -> dict[str, Any]:
    try:
        document = json.loads(_content(response))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise FetchError(
            f"{_host(base)} does not answer as MLflow does: is {SERVER} right, with its prefix?",
            status=Exit.CONFIGURATION,
        )
    return document


def _content(response: requests.Response) -> bytes:
    content = bytearray()
    try:
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > _ANSWER_BYTES:
                raise FetchError("The server's answer is too large.", status=Exit.UNVERIFIED)
    except (requests.RequestException, OSError) as error:
        raise PassingError(f"The connection broke ({_reason(error)}).") from error
    return bytes(content)


def _words(response: requests.Response) -> str:
    """What the server says about the failure, on one line; nothing where it says nothing."""
    try:
        document = json.loads(_content(response))
        text = str(document.get("message") or document.get("detail") or "")
    except (FetchError, PassingError, ValueError, AttributeError, RecursionError):
        text = ""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MESSAGE_LENGTH]
    return f": {text.rstrip('.')}." if text else "."


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdecimal() else None


def _host(url: str) -> str:
    return urlsplit(url).netloc or "The server"


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words. Its text may hold signed addresses, so only its kind is told."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    text = os.strerror(inner.errno) if isinstance(inner, OSError) and inner.errno else ""
    return text or type(inner).__name__
