"""Who a user or group of the old system is to Kubernetes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from workspace_authz.convert.source import Person
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.subjects import Subject, SubjectKind, group_subject, subject_of_text
from workspace_authz.types import is_namespace_name

_RESERVED: Final = "system:"
"""Names of Kubernetes itself: an old name must not become one of them."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the cluster names people (``kube-apiserver --oidc-username-prefix``, ``--oidc-groups-prefix``)."""

    user_prefix: str = ""
    group_prefix: str = ""
    accounts: str = ""
    """The namespace of service accounts."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The name of each service account in Kubernetes."""

    def person(self, person: Person) -> Subject | str:
        """The subject, or why there is none."""
        if not person.active:
            return "the user was switched off"
        if not person.account:
            return _checked(f"user:{self.user_prefix}{person.name}")
        if not self.accounts:
            return "a service account needs a namespace: --accounts-namespace"
        name = self.names.get(person.name, "")
        if not name:
            return "no service account of Kubernetes can have such a name, or two would have the same"
        return Subject(SubjectKind.SERVICE_ACCOUNT, name, self.accounts)

    def group(self, name: str) -> Subject | str:
        """The subject, or why there is none."""
        return _checked(group_subject(f"{self.group_prefix}{name}").text)


def account_names(people: Iterable[Person]) -> Mapping[str, str]:
    """A name in Kubernetes for each service account; those that would share one have none."""
    wanted = {each.name: _label(each.name) for each in people if each.account}
    counts = Counter(wanted.values())
    return {name: label for name, label in wanted.items() if counts[label] == 1 and is_namespace_name(label)}


def _label(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower())[:63].strip("-")


def _checked(text: str) -> Subject | str:
    try:
        subject = subject_of_text(text)
    except BadRequestError as error:
        return error.message
    if subject.name.startswith(_RESERVED):
        return f"names that begin with {_RESERVED} are Kubernetes' own"
    return subject
