"""Reloads a rotated serving certificate without closing connections.

uvicorn reads the files of ``--ssl-certfile`` and ``--ssl-keyfile`` once. Its TLS context accepts new files
while it is in use: later handshakes show the new certificate, and open connections are kept.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.doors.lifespan import uvicorn_config
from workspace_authz.runtime import process

_log = logging.getLogger(__name__)

_CHECK_SECONDS: Final = 1.0

Version = tuple[tuple[str, int, int], ...]
"""Of each file: its real path, its inode, and the time of its last change in nanoseconds."""


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """A server's certificate files and the TLS context that they are loaded into."""

    context: ssl.SSLContext
    certificate: str
    key: str | None
    """None where the certificate's file holds the key as well."""
    password: str | None = None

    def version(self) -> Version:
        """A value that changes when a file changes. Raises ``OSError`` while a file is missing."""
        found = []
        for path in (self.certificate, self.key or self.certificate):
            real = os.path.realpath(path)
            about = os.stat(real)
            found.append((real, about.st_ino, about.st_mtime_ns))
        return tuple(found)

    def load(self, version: Version, *, into: ssl.SSLContext) -> None:
        """Read the files by their real paths, so that both are of one version.

        A symbolic link could be replaced between the two reads.

        Raises ``OSError`` when a file cannot be read, and ``ssl.SSLError`` when the two do not fit.
        """
        (certificate, *_), (key, *_) = version
        into.load_cert_chain(certificate, key if self.key else None, self.password)


def uvicorn_certificate(receive: Receive) -> ServedCertificate | None:
    """The certificate of the uvicorn server whose lifespan channel is ``receive``; None without TLS."""
    config = uvicorn_config(receive)
    if config is None:
        _log.warning("uvicorn is not recognized: a rotated serving certificate is not reloaded")
        return None
    if config.ssl is None or not config.ssl_certfile:
        return None
    key = os.fspath(config.ssl_keyfile) if config.ssl_keyfile else None
    return ServedCertificate(config.ssl, os.fspath(config.ssl_certfile), key, config.ssl_keyfile_password)


class CertificateReloader:
    """Loads new files into the context in use. Run :meth:`run` in a supervised task.

    ``on_load`` is called with True after a reload, and with False once for each version that cannot be used.
    """

    def __init__(self, served: ServedCertificate, *, on_load: Callable[[bool], None], clock: Clock) -> None:
        self._served = served
        self._on_load = on_load
        self._clock = clock
        self._loaded = self._version()
        self._failed: Version | None = None

    async def run(self) -> None:
        """Check the files every second, until cancelled."""
        while True:
            await self._clock.sleep(_CHECK_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Reload the files if they have changed.

        Files that cannot be used leave the old ones in use, for example while only one of the two is new.
        """
        version = self._version()
        if version is None or version == self._loaded:
            return
        try:
            # Into another context first: a key that does not fit would break the context in use.
            spare = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            await asyncio.to_thread(self._served.load, version, into=spare)
            self._served.load(version, into=self._served.context)
        except OSError as error:
            if version != self._failed:
                self._failed = version
                _log.warning("the new serving certificate cannot be used: %s", error.strerror or error)
                self._on_load(False)
            return
        level = logging.INFO if self._failed is None else logging.WARNING
        self._loaded, self._failed = version, None
        _log.log(level, "a new serving certificate is in use")
        self._on_load(True)

    def _version(self) -> Version | None:
        try:
            return self._served.version()
        except OSError:
            return None


def count_reload(loaded: bool) -> None:
    """Count a reload, once the worker runs."""
    runtime = process.current()
    if runtime is not None:
        runtime.metrics.certificate(loaded=loaded)


class CertificateMiddleware:
    """Reloads the certificate for as long as the app runs. ``on_load``: see :class:`CertificateReloader`."""

    def __init__(self, app: App, *, on_load: Callable[[bool], None]) -> None:
        self._app = app
        self._on_load = on_load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection. Only the lifespan is not passed on as it is."""
        served = uvicorn_certificate(receive) if scope["type"] == "lifespan" else None
        if served is None:
            await self._app(scope, receive, send)
            return
        supervisor = Supervisor()
        supervisor.run(
            "certificate", CertificateReloader(served, on_load=self._on_load, clock=SystemClock()).run
        )
        try:
            await self._app(scope, receive, send)
        finally:
            await supervisor.close()
