"""Whether a request comes from a proxy that may say who the caller is.

A proxy proves it by a secret that it shares with the server, by the token of its own service account, or by
its address. Each way that is set up is enough. A wrong proof is refused; it is never tried as another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Authenticator, Presented
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.identity.secret_file import SecretFile
from workspace_authz.types import Credential


class Proof(Protocol):
    """One way to prove it."""

    @property
    def headers(self) -> frozenset[bytes]:
        """The headers that hold the proof. They are for this server only."""

    async def proves(self, presented: Presented) -> bool:
        """Whether the sender is a proxy; False where the request does not try to prove it in this way.

        Raises ``UnauthenticatedError`` for a wrong proof. A token is asked about, so what an
        :class:`~workspace_authz.identity.authenticator.Authenticator` raises is possible as well.
        """


@dataclass(frozen=True, slots=True)
class Senders:
    """The proxies of this server."""

    proofs: Sequence[Proof]

    @property
    def headers(self) -> frozenset[bytes]:
        """The headers that hold proofs."""
        return frozenset().union(*(proof.headers for proof in self.proofs))

    async def verified(self, presented: Presented) -> bool:
        """Whether the sender is one of them. Raises as :meth:`Proof.proves`."""
        proven = [await proof.proves(presented) for proof in self.proofs]
        return any(proven)


@dataclass(frozen=True, slots=True)
class SecretProof:
    """A secret in ``header`` that stands in the file."""

    file: SecretFile
    header: bytes

    @property
    def headers(self) -> frozenset[bytes]:
        """See :class:`Proof`."""
        return frozenset({self.header})

    async def proves(self, presented: Presented) -> bool:
        """See :class:`Proof`."""
        sent = single_values(presented.headers, self.headers).get(self.header)
        if sent is None:
            return False
        if not await self.file.holds(sent):
            raise UnauthenticatedError(
                f"The secret in {title(self.header)} is not the one that this server shares with its proxy."
            )
        return True


@dataclass(frozen=True, slots=True)
class AccountProof:
    """A token in ``header`` that belongs to one of ``accounts``, ``(namespace, name)`` each.

    ``authenticators`` are those of callers' tokens: a proxy's token is looked at as any other.
    """

    authenticators: Sequence[Authenticator]
    header: bytes
    accounts: Collection[tuple[str, str]]

    @property
    def headers(self) -> frozenset[bytes]:
        """See :class:`Proof`."""
        return frozenset({self.header})

    async def proves(self, presented: Presented) -> bool:
        """See :class:`Proof`."""
        sent = single_values(presented.headers, self.headers).get(self.header)
        if sent is None:
            return False
        account = await self._account(Presented([(AUTHORIZATION, b"Bearer " + sent)], presented.peer))
        if account is None:
            raise UnauthenticatedError(
                f"The token in {title(self.header)}, by which a proxy proves who it is, is not accepted."
            )
        if account not in self.accounts:
            raise UnauthenticatedError(
                f"The token in {title(self.header)} belongs to none of the service accounts that may name "
                "the caller."
            )
        return True

    async def _account(self, token: Presented) -> tuple[str, str] | None:
        """Whose token it is; ``("", "")`` for somebody who is no service account, None for a bad token."""
        try:
            for authenticator in self.authenticators:
                owner = await authenticator.authenticate(token, unverified=_ask_nothing)
                if owner is not None:
                    return owner.user.service_account or ("", "")
        except UnauthenticatedError:
            return None
        return None


@dataclass(frozen=True, slots=True)
class AddressProof:
    """An address in one of ``networks``. It is the proxy's own only where uvicorn does not replace it."""

    networks: Sequence[IPv4Network | IPv6Network]

    @property
    def headers(self) -> frozenset[bytes]:
        """See :class:`Proof`."""
        return frozenset()

    async def proves(self, presented: Presented) -> bool:
        """See :class:`Proof`."""
        try:
            address = ip_address(presented.peer)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self.networks)


def single_values(headers: Iterable[tuple[bytes, bytes]], names: Collection[bytes]) -> Mapping[bytes, bytes]:
    """Those of ``names`` that have a value, with it; none for empty ones.

    Raises :class:`UnauthenticatedError` for a name that comes twice, and for one with underscores in the
    place of hyphens: WSGI and some proxies make no difference, so it may be what a client added to a proxy's.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        hyphenated = name.replace(b"_", b"-")
        if hyphenated not in names:
            continue
        if name != hyphenated:
            raise UnauthenticatedError(
                f"The header {title(name)} is too much like {title(hyphenated)}, which only a proxy may send."
            )
        if name in found:
            raise UnauthenticatedError(
                f"The header {title(name)} comes twice, so a client may have sent one."
            )
        found[name] = value.strip()
    return {name: value for name, value in found.items() if value}


def title(name: bytes) -> str:
    """A header's name as it is told to people."""
    return name.decode("latin-1").title()


def _ask_nothing(credential: Credential) -> None:
    """Nobody's rights depend on the proxy's own."""
