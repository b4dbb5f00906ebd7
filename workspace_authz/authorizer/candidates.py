"""In which namespaces a caller could hold rights, and what to ask in each to know it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from workspace_authz.types import Attributes, UserInfo


@dataclass(frozen=True, slots=True)
class Candidates:
    """What to ask. Who is allowed one of the questions for a namespace holds a right there."""

    everywhere: Sequence[Attributes]
    """Without a namespace, which asks for all: who is allowed one of them holds it in every namespace."""
    within: Mapping[str, Sequence[Attributes]]
    all_namespaces: Collection[str]

    @property
    def namespaces(self) -> Collection[str]:
        """Those with a question: all, while what may hold everywhere has not been allowed everywhere."""
        return self.all_namespaces if self.everywhere else self.within.keys()

    def questions(self, namespace: str) -> Iterator[Attributes]:
        """What to ask there, until something is allowed."""
        yield from self.within.get(namespace, ())
        for question in self.everywhere:
            yield replace(question, namespace=namespace)


class CandidateSource(Protocol):
    """Knows where it is worth asking. It may name too many namespaces, but never too few."""

    def of(self, user: UserInfo, namespaces: Collection[str]) -> Candidates | None:
        """Those of ``namespaces`` in which ``user`` could hold some right; None when it cannot tell."""
