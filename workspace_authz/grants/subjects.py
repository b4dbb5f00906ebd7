"""Subjects of RBAC bindings, and the one text by which people read and write them.

| subject | text |
|---|---|
| User ``alice`` | ``alice`` |
| Group ``data-scientists`` | ``group:data-scientists`` |
| ServiceAccount ``trainer`` of ``team-a`` | ``system:serviceaccount:team-a:trainer`` |

A user whose name begins with ``group:`` or ``user:`` is written with ``user:`` before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workspace_authz.errors import BadRequestError
from workspace_authz.types import UserInfo

_GROUP: Final = "group:"
_USER: Final = "user:"
_RBAC_GROUP: Final = "rbac.authorization.k8s.io"
_LONGEST: Final = 512


class SubjectKind(StrEnum):
    """``kind`` of a subject (``rbac.authorization.k8s.io/v1``)."""

    USER = "User"
    GROUP = "Group"
    SERVICE_ACCOUNT = "ServiceAccount"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A user, a group or a service account."""

    kind: SubjectKind
    name: str
    namespace: str = ""
    """Of a service account; otherwise empty."""

    @property
    def text(self) -> str:
        """As people read it, and as :func:`subject_of_text` reads it back."""
        match self.kind:
            case SubjectKind.GROUP:
                return f"{_GROUP}{self.name}"
            case SubjectKind.SERVICE_ACCOUNT:
                return self.username
            case SubjectKind.USER:
                ambiguous = self.name.startswith((_GROUP, _USER))
                return f"{_USER}{self.name}" if ambiguous else self.name

    @property
    def username(self) -> str:
        """The name by which a user or service account authenticates; a group's own name."""
        if self.kind is SubjectKind.SERVICE_ACCOUNT:
            return f"system:serviceaccount:{self.namespace}:{self.name}"
        return self.name

    @property
    def manifest(self) -> dict[str, str]:
        """As it stands in the ``subjects`` of a binding."""
        if self.kind is SubjectKind.SERVICE_ACCOUNT:
            return {"kind": str(self.kind), "name": self.name, "namespace": self.namespace}
        return {"kind": str(self.kind), "name": self.name, "apiGroup": _RBAC_GROUP}


def user_subject(username: str) -> Subject:
    """The subject for who authenticates as ``username``."""
    account = UserInfo(username).service_account
    if account is not None:
        return Subject(SubjectKind.SERVICE_ACCOUNT, account[1], account[0])
    return Subject(SubjectKind.USER, username)


def group_subject(name: str) -> Subject:
    """The subject for a group."""
    return Subject(SubjectKind.GROUP, name)


def subject_of_text(text: str) -> Subject:
    """The subject that ``text`` means. Raises :class:`BadRequestError` for what is no name."""
    if text.startswith(_GROUP):
        subject = group_subject(text.removeprefix(_GROUP))
    elif text.startswith(_USER):
        subject = Subject(SubjectKind.USER, text.removeprefix(_USER))
    else:
        subject = user_subject(text)
    if not subject.name or len(text) > _LONGEST or not text.isprintable():
        raise BadRequestError(f"A user, group or service account has 1 to {_LONGEST} printable characters.")
    return subject
