"""Who has which role, out of 10,000 bindings in memory: what the pages of administrators wait for."""

from __future__ import annotations

import json
import time

from bench.options import Options
from bench.report import head, row, spread
from bench.testbed import Testbed
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import RoleReader, read_binding
from workspace_authz.doors.people.contract.documents import Documents, user_document
from workspace_authz.grants.levels import Level
from workspace_authz.grants.mlflow_roles import Overview
from workspace_authz.grants.objects import ObjectGrant, RoleRef, object_grant, role_grant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.kubernetes.listwatch_answers import object_key
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.types import Resource

_BINDINGS = 10_000
_NAMESPACES = 100
_USERS = 2_500


def run(testbed: Testbed, options: Options) -> None:
    """Print how long it takes to read and to write all of one namespace, and of all."""
    index = _world()
    head("namespaces asked for", "bindings in them", "read, ms", "written as JSON, ms")
    for count in (1, _NAMESPACES):
        names = [f"team-{number}" for number in range(count)]
        took = [_once(index, names) for _ in range(options.rounds * 3)]
        row(
            count,
            _BINDINGS * count // _NAMESPACES,
            *(spread(each, digits=1) for each in zip(*took, strict=True)),
        )


def _once(index: RbacIndex, namespaces: list[str]) -> tuple[float, float]:
    began = time.perf_counter()
    users = Overview(index, namespaces, cluster_wide=False).users()
    read = time.perf_counter()
    documents = Documents({})
    json.dumps(
        [
            {**user_document(subject.text), "roles": [documents.role(role) for role in roles]}
            for subject, roles in users.items()
        ]
    )
    return (read - began) * 1000, (time.perf_counter() - read) * 1000


def _world() -> RbacIndex:
    """Half of the bindings give a shipped ClusterRole, half one experiment."""
    index, read_role = RbacIndex(), RoleReader()
    for item in cluster_roles():
        index.put_role(object_key(item), read_role(item))
    for number in range(_BINDINGS):
        namespace, subject = f"team-{number % _NAMESPACES}", user_subject(f"user-{number % _USERS}")
        if number % 2:
            binding = role_grant(subject, namespace, role=RoleRef("mlflow-view"))
        else:
            grant = ObjectGrant(Resource.EXPERIMENTS, f"experiment-{number}", Level.READ)
            role, binding = object_grant(subject, namespace, grant=grant)
            index.put_role(object_key(role), read_role(role))
        index.put_binding(object_key(binding), old=None, new=read_binding(binding))
    return index
