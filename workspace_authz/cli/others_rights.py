"""What somebody else may do in a namespace, for who may ask that there without acting as them.

A LocalSubjectAccessReview is a right of a namespace's administrators (Kubernetes' ClusterRole ``admin``). As
everywhere in Kubernetes, nobody checks that the user exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from workspace_authz.cli.access import Access, CannotActError, open_objects
from workspace_authz.errors import ForbiddenError, UnavailableError
from workspace_authz.kubernetes.access_reviews import AUTHORIZATION, mlflow_resource, subject_access_review
from workspace_authz.kubernetes.own_credential import Impersonation
from workspace_authz.kubernetes.review_client import NO_ANSWER
from workspace_authz.types import Attributes, UserInfo

_AUTHENTICATED: Final = "system:authenticated"
_ACCOUNTS: Final = "system:serviceaccounts"


async def others_answers(
    access: Access, questions: Sequence[Attributes], *, whose: Impersonation
) -> list[bool]:
    """The answer to each of ``questions``, which are about one namespace.

    Raises :class:`CannotActError` where the caller may not ask.
    """
    user = UserInfo(whose.user, groups=tuple(dict.fromkeys(_groups(whose))))
    async with open_objects(access) as objects:

        async def may(question: Attributes) -> bool:
            spec = subject_access_review(user, mlflow_resource(question)).spec
            metadata = {"namespace": question.namespace}
            namespace = quote(question.namespace, safe="")
            path = f"/apis/{AUTHORIZATION}/v1/namespaces/{namespace}/localsubjectaccessreviews"
            review = {
                "apiVersion": f"{AUTHORIZATION}/v1",
                "kind": "LocalSubjectAccessReview",
                "metadata": metadata,
                "spec": spec,
            }
            status = (await objects.create(path, review)).get("status")
            if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
                raise UnavailableError(NO_ANSWER)
            return status["allowed"] is True

        try:
            return await asyncio.gather(*map(may, questions))
        except ForbiddenError as error:
            raise CannotActError(
                f"You may not ask what {whose.user!r} may do: that takes the verb impersonate on the user, "
                "and on each group, or in the namespace the verb create on localsubjectaccessreviews, which "
                "Kubernetes' admin has."
            ) from error


def _groups(whose: Impersonation) -> Iterator[str]:
    """As impersonation adds them (``k8s.io/apiserver/pkg/endpoints/filters/impersonation.go``)."""
    yield from whose.groups
    account = UserInfo(whose.user).service_account
    if account is not None and not whose.groups:
        yield from (_ACCOUNTS, f"{_ACCOUNTS}:{account[0]}")
    yield _AUTHENTICATED
