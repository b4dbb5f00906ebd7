"""What the GraphQL document of a request demands: what each field demands that it makes MLflow compute."""

from __future__ import annotations

from collections.abc import Sequence

from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.enforcement.extraction import Objects
from workspace_authz.enforcement.request import AccessRequest
from workspace_authz.errors import BadRequestError, ForbiddenError


async def read_document(objects: Objects, request: AccessRequest) -> Sequence[FieldCall]:
    """Every place at which the document asks for a field; raises :class:`BadRequestError`.

    The body counts whatever the method, as in ``handlers._graphql``, and never the query string.
    """
    body = await request.body.read()
    if body is None:
        raise BadRequestError("The body is too large for a GraphQL document.")
    return await objects.document(
        method=request.method, query=request.query, headers=request.headers, body=body
    )


def demanded(guarded: Guarded, calls: Sequence[FieldCall]) -> list[tuple[Requirement, FieldCall]]:
    """Each requirement with each place at which it holds, in the catalog's order.

    Raises :class:`ForbiddenError` if the document has MLflow compute a field that the catalog does not know.
    """
    known = {requirement.at for requirement in guarded.requirements} | set(guarded.free)
    for call in calls:
        if call.computed and call.field not in known:
            raise ForbiddenError(
                f"No rule of workspace-authz covers the GraphQL field {call.field}, so it is refused."
            )
    return [
        (requirement, call)
        for requirement in guarded.requirements
        for call in calls
        if call.field == requirement.at
    ]
