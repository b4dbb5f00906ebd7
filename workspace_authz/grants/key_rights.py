"""What it takes to make access keys, and what a key would let its holder do beyond MLflow."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from workspace_authz.grants.key_records import KeyWish
from workspace_authz.grants.subjects import Subject, SubjectKind, user_subject
from workspace_authz.kubernetes.access_reviews import AUTHENTICATION, AUTHORIZATION
from workspace_authz.kubernetes.account_tokens import SECRETS, SERVICE_ACCOUNTS
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP

NEEDED: Final = (
    ("create", SERVICE_ACCOUNTS, "token"),
    ("create", SECRETS, ""),
    ("list", SECRETS, ""),
    ("update", SECRETS, ""),
    ("delete", SECRETS, ""),
)
"""``(verb, resource, subresource)`` in the namespace, which making and revoking keys takes."""

CREATE: Final = f"create {SECRETS}"
LIST: Final = f"list {SECRETS}"
"""Rights without which a page has nothing to offer, and nothing to show."""

_DIGEST_CHARACTERS: Final = 8
_MOST_RIGHTS: Final = 20
_MOST_NAMES: Final = 8
_SELF_REVIEWS: Final = {
    AUTHENTICATION: frozenset({"selfsubjectreviews"}),
    AUTHORIZATION: frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"}),
}
"""What everybody may ask about themselves (the ClusterRole ``system:basic-user``)."""


def needed(namespace: str) -> str:
    """Which rights it takes, as sentences."""
    return (
        f"Access keys take the right to create serviceaccounts/token in {namespace}, and those to create, "
        "list, update and delete secrets there. Kubernetes' ClusterRoles edit and admin have them; "
        "mlflow-admin alone has not."
    )


def grant_commands(namespace: str, username: str) -> Sequence[str]:
    """The commands with which an administrator gives ``username`` the rights, and no more."""
    where, role = f"kubectl -n {namespace} create", "access-keys"
    rights = "--verb=create,list,update,delete --resource=secrets,serviceaccounts/token"
    digest = hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return (
        f"{where} role {role} {rights} --dry-run=client -o yaml | kubectl apply -f -",
        f"{where} rolebinding {role}-{digest} --role={role} {_subject_option(user_subject(username))}",
    )


def _subject_option(subject: Subject) -> str:
    if subject.kind is SubjectKind.SERVICE_ACCOUNT:
        return f"--serviceaccount={subject.namespace}:{subject.name}"
    return f"--user={shlex.quote(subject.name)}"


def create_command(namespace: str, wish: KeyWish | None = None, *, audience: str = "") -> str:
    """The command line that makes a key."""
    account = shlex.quote(wish.account) if wish else "SERVICE_ACCOUNT"
    purpose = shlex.quote(wish.purpose) if wish else "PURPOSE"
    days = f" --days {max(1, wish.seconds // 86_400)}" if wish else ""
    audience = wish.audience if wish else audience
    bound = f" --audience {shlex.quote(audience)}" if audience else ""
    return f"workspace-authz keys create {account} -n {namespace} --for {purpose}{days}{bound}"


def beyond_mlflow(answer: RulesAnswer) -> tuple[str, ...]:
    """What ``answer`` allows that is neither MLflow's nor everybody's, as texts; bounded."""
    rules = [text for rule in answer.rules if (text := _beyond(rule))]
    if answer.incomplete:
        rules.append("rights that this cluster cannot list")
    shown = tuple(dict.fromkeys(rules))
    return shown if len(shown) <= _MOST_RIGHTS else (*shown[:_MOST_RIGHTS], "and more")


def _beyond(rule: ResourceRule) -> str:
    groups = sorted(group for group in rule.groups if not _is_harmless(rule, group))
    if not groups:
        return ""
    resources = (
        f"{resource}.{group}" if group not in ("", "*") else resource
        for group in groups
        for resource in sorted(rule.resources)
    )
    named = f" named {_listed(rule.names)}" if rule.names else ""
    return f"{_listed(rule.verbs)} {_listed(resources)}{named}"


def _is_harmless(rule: ResourceRule, group: str) -> bool:
    return group == API_GROUP or rule.resources <= _SELF_REVIEWS.get(group, frozenset())


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:_MOST_NAMES]) + (" and more" if len(ordered) > _MOST_NAMES else "")
