"""Is the API server there, does it know the server, and does it answer reviews?"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Final

from workspace_authz.cli.checks.finding import Finding, failing, ok, warning
from workspace_authz.cli.checks.probe import (
    RBAC,
    Answer,
    NoAnswerError,
    ask,
    may_i,
    my_rules,
    username,
    who_am_i,
)
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.connection import Connection

_SLOW_SECONDS: Final = 1.0
_SKEW_SECONDS: Final = 30.0
_BASIC_USER: Final = f"/apis/{RBAC}/v1/clusterrolebindings/system:basic-user"
_RESTORE: Final = (
    "let every caller ask about themselves again: kubectl create clusterrolebinding system:basic-user "
    "--clusterrole=system:basic-user --group=system:authenticated"
)


async def reachable(connection: Connection) -> tuple[bool, list[Finding]]:
    """Whether there is any use in asking more, and what was seen."""
    check = "api-server"
    try:
        answer = await ask(connection, "/version")
    except NoAnswerError as error:
        fix = "check the address, the network policy and the CA in the kubeconfig or the pod"
        return False, [failing(check, f"{connection.host}: {error}", fix=fix)]
    if answer.status == 401:
        what = f"{connection.host} does not accept the server's own credential"
        return False, [failing(check, what, fix="renew the kubeconfig, or restart the pod for a new token")]
    version = answer.body.get("gitVersion", "of unknown version")
    what = f"Kubernetes {version} at {connection.host} answers in {answer.seconds * 1000:.0f} ms"
    finding = ok(check, what)
    if answer.seconds > _SLOW_SECONDS:
        finding = warning(
            check, what, fix="every new decision waits that long: look at the API server's load"
        )
    return True, [finding, _clock(answer)]


def _clock(answer: Answer) -> Finding:
    check = "clock"
    try:
        skew = time.time() - parsedate_to_datetime(answer.date or "").timestamp()
    except ValueError:
        return warning(check, "the API server does not say its time", fix="compare `date` on both machines")
    if abs(skew) > _SKEW_SECONDS:
        what = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API server's"
        return warning(check, what, fix="synchronize the clocks of the nodes (chrony, NTP)")
    return ok(check, "agrees with the API server's")


async def identity(connection: Connection) -> Finding:
    """SelfSubjectReview: without it nobody can be named."""
    check = "who-am-i"
    answer = await who_am_i(connection)
    if answer.status == 404:
        what = "the cluster has no SelfSubjectReview"
        return failing(check, what, fix="upgrade to Kubernetes 1.28 or OpenShift 4.15, or newer")
    name = username(answer)
    if answer.status not in (200, 201) or not name:
        return failing(check, f"SelfSubjectReview: {answer.message}", fix=_RESTORE)
    return ok(check, f"the server itself is {name}")


async def basic_user(connection: Connection) -> Finding:
    """Whether any caller may ask what they may do. The cluster's default, which some take away."""
    check = "reviews"
    for answer in (
        await may_i(connection, access_reviews.resource("get", "namespaces")),
        await my_rules(connection, "default"),
    ):
        if answer.status not in (200, 201):
            return failing(check, f"reviews are refused: {answer.message}", fix=_RESTORE)
    # The server may have more rights than callers have, so look at the binding too, where it can be read.
    binding = await ask(connection, _BASIC_USER)
    if binding.status == 403:
        return ok(check, "access reviews and rules reviews are answered")
    groups = {subject.get("name") for subject in binding.body.get("subjects") or ()}
    if binding.status != 200 or "system:authenticated" not in groups:
        return failing(check, "callers may not ask what they may do (system:basic-user)", fix=_RESTORE)
    return ok(check, "access reviews and rules reviews are answered, for every caller")
