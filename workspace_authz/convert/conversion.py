"""One whole conversion: from a permission database to objects of RBAC and a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workspace_authz.convert.by_holders import convert_holders
from workspace_authz.convert.by_roles import convert_roles
from workspace_authz.convert.known import Known
from workspace_authz.convert.plan import Plan, Wishes, begin, finish_people, for_administrators
from workspace_authz.convert.report import Report
from workspace_authz.convert.source import OldSystem
from workspace_authz.grants.objects import Manifest


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of it."""

    manifests: Sequence[Manifest]
    report: Report
    remarks: Sequence[str]
    """What is not about single rows."""


def convert(system: OldSystem, *, known: Known, wishes: Wishes) -> Converted:
    """Every row is in the objects, in the report, or in both."""
    plan = begin(system, known=known, wishes=wishes)
    for_administrators(plan)
    if system.ways.nearest:
        convert_holders(plan)
    else:
        convert_roles(plan)
    finish_people(plan)
    return Converted(plan.sheet.manifests(), plan.report, list(_remarks(plan)))


def _remarks(plan: Plan) -> Iterator[str]:
    wishes = plan.wishes
    default = wishes.default or "NO_PERMISSIONS"
    yield f"default_permission is in no database; it is taken to have been {default} (--default-permission)."
    if not wishes.members and not wishes.places.workspaces:
        yield (
            "Everybody could make experiments and models, and had MANAGE of their own. RBAC has no owners: "
            "who shall work in a namespace gets edit there (--members edit, or `workspace-authz grant`)."
        )
    yield "mlflow-view, which stands for READ of everything, reads no gateway secrets and model definitions."
    yield "MANAGE of an object also let its holder grant it. Here Kubernetes' own admin may grant."
    yield "Users and groups are who the API server says they are; passwords and keys end with the old system."
    yield "No namespace is made and no data move: that is `mlflow db move-resources` (docs/migration.md)."
