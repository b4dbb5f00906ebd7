"""Which proxies may ask. Imports nothing of MLflow: the parent of the workers checks this, too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from workspace_authz.errors import ConfigurationError
from workspace_authz.identity.secret_file import SecretFile
from workspace_authz.identity.senders import AddressProof, Proof, SecretProof, Senders
from workspace_authz.settings.settings import Settings

SECRET_HEADER: Final = b"x-workspace-authz-secret"
"""Not the header in which a proxy proves that it may name the caller: what a proxy passes on here comes from
clients."""


def senders_of(settings: Settings) -> Senders:
    """The proxies that may ask. Raises :class:`ConfigurationError` where there are none."""
    proofs: list[Proof] = []
    if settings.forward_auth_secret_file:
        file = SecretFile(
            Path(settings.forward_auth_secret_file),
            monotonic=time.monotonic,
            variable="WORKSPACE_AUTHZ_FORWARD_AUTH_SECRET_FILE",
        )
        proofs.append(SecretProof(file, SECRET_HEADER))
    if settings.forward_auth_networks:
        proofs.append(AddressProof(settings.forward_auth_networks))
    if not proofs:
        raise ConfigurationError(
            "No proxy could prove that it is one: set WORKSPACE_AUTHZ_FORWARD_AUTH_SECRET_FILE or "
            "WORKSPACE_AUTHZ_FORWARD_AUTH_ADDRESSES."
        )
    return Senders(tuple(proofs))
