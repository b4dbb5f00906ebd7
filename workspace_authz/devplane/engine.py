"""What the dev plane asks of an engine, and what an engine tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

LONGEST_TOKEN_SECONDS: Final = 2**32
"""That a TokenRequest may ask for."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is to be started."""

    state: Path
    """Directory for keys, certificates and whatever else the engine keeps. Made when missing."""
    port: int = 0
    """TCP port on 127.0.0.1; 0 picks a free one."""
    users: Path | None = None
    """Kubernetes' static token file: lines of ``token,user,uid,"group1,group2"``, the groups optional."""
    authentication_config: Path | None = None
    """An ``AuthenticationConfiguration``: the issuers whose tokens are accepted. kube-apiserver only."""
    longest_token_seconds: int = LONGEST_TOKEN_SECONDS
    """Of a service account's token; a longer lifetime is shortened to it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Kubernetes API that is ready to serve."""

    url: str
    ca_file: Path
    admin_token: str = field(repr=False)
    """Bearer token of a user in ``system:masters``."""


class Engine(Protocol):
    """One way to serve a Kubernetes API on loopback."""

    @property
    def name(self) -> str:
        """What ``--engine`` calls it."""

    async def start(self) -> Endpoint:
        """Start, and return when the API is ready.

        Raises :class:`~workspace_authz.errors.ConfigurationError` when it cannot.
        """

    async def wait(self) -> None:
        """Wait until the engine dies by itself, and raise why; return when it was stopped."""

    async def stop(self) -> None:
        """Stop it and whatever belongs to it. Safe to call twice, and before ``start``."""
