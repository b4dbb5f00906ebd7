"""A serving certificate that is rotated is taken up without a connection being lost.

uvicorn reads the files of ``--ssl-certfile`` and ``--ssl-keyfile`` once. Its TLS context can be given others
while it is in use: handshakes from then on show the new certificate, open connections go on as they are.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import uvicorn

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.aio.supervisor import Supervisor

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0

Version = tuple[tuple[str, int, int], ...]
"""Where each file really is, its inode and when it was written."""


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """The files that a server shows to clients, and the context in which it does."""

    context: ssl.SSLContext
    certificate: str
    key: str | None
    """None where the certificate's file holds the key, too."""
    password: str | None = None

    def version(self) -> Version:
        """Changes when a file does. Raises ``OSError`` while one is missing."""
        found = []
        for path in (self.certificate, self.key or self.certificate):
            real = os.path.realpath(path)
            about = os.stat(real)
            found.append((real, about.st_ino, about.st_mtime_ns))
        return tuple(found)

    def load(self, version: Version, *, into: ssl.SSLContext) -> None:
        """Read the files by their real paths, so that both are of one version where a link is switched.

        Raises ``OSError``, of which ``ssl.SSLError`` is one.
        """
        (certificate, *_), (key, *_) = version
        into.load_cert_chain(certificate, key if self.key else None, self.password)


def served_by_uvicorn(receive: Receive) -> ServedCertificate | None:
    """What uvicorn serves, from the lifespan channel that it hands to its app; None without TLS.

    uvicorn 0.54 tells an app nothing of itself, but ``receive`` is a method of its ``LifespanOn``, which has
    the public ``uvicorn.Config``.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    if not isinstance(config, uvicorn.Config):
        _log.warning("uvicorn is not recognized: a serving certificate, if any, is read at the start only")
        return None
    if config.ssl is None or not config.ssl_certfile:
        return None
    key = os.fspath(config.ssl_keyfile) if config.ssl_keyfile else None
    return ServedCertificate(config.ssl, os.fspath(config.ssl_certfile), key, config.ssl_keyfile_password)


class Rotation:
    """Takes up new files. ``on_load`` hears whether it could. Run :meth:`run` in a supervised task."""

    def __init__(self, served: ServedCertificate, *, on_load: Callable[[bool], None], clock: Clock) -> None:
        self._served = served
        self._on_load = on_load
        self._clock = clock
        self._loaded = self._version()
        self._failed: Version | None = None

    async def run(self) -> None:
        """Look at the files every second, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once. What cannot be used, as while only one of two files is new, leaves the old ones in use."""
        version = self._version()
        if version is None or version == self._loaded:
            return
        try:
            # First into another context: a key that does not fit would spoil the one in use.
            spare = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            await asyncio.to_thread(self._served.load, version, into=spare)
            self._served.load(version, into=self._served.context)
        except OSError as error:
            if version != self._failed:
                self._failed = version
                _log.error("the new serving certificate cannot be used: %s", error.strerror or error)
                self._on_load(False)
            return
        self._loaded, self._failed = version, None
        _log.info("a new serving certificate is in use")
        self._on_load(True)

    def _version(self) -> Version | None:
        try:
            return self._served.version()
        except OSError:
            return None


class CertificateMiddleware:
    """Follows the certificate for as long as the app runs. ``on_load`` is as of :class:`Rotation`."""

    def __init__(self, app: App, *, on_load: Callable[[bool], None]) -> None:
        self._app = app
        self._on_load = on_load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection; only the lifespan's matters."""
        served = served_by_uvicorn(receive) if scope["type"] == "lifespan" else None
        if served is None:
            await self._app(scope, receive, send)
            return
        supervisor = Supervisor()
        supervisor.run("certificate", Rotation(served, on_load=self._on_load, clock=SystemClock()).run)
        try:
            await self._app(scope, receive, send)
        finally:
            await supervisor.close()
