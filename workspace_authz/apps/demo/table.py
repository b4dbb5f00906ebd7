"""What the demo prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.apps.demo.guide import Row
from workspace_authz.apps.demo.people import ALICE, PEOPLE, Person

_HEADINGS: Final = ("", "who", "with", "does", "expected", "got")


def table(stages: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """One row per step below each stage's title, then whatever was not as expected, in full."""
    stages = list(stages)
    rows = [row for _, some in stages for row in some]
    grid = [_HEADINGS, *(_columns(row) for row in rows)]
    widths = [max(len(line[column]) for line in grid) for column in range(len(_HEADINGS))]

    def line(values: Sequence[str]) -> str:
        return "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip()

    lines = [line(_HEADINGS), line([("-" * width) for width in widths])]
    for title, some in stages:
        lines += ["", title, *(line(_columns(row)) for row in some)]
    wrong = [row for row in rows if not row.as_expected]
    lines += ["", f"{len(rows) - len(wrong)} of {len(rows)} as expected."]
    lines += [f"{row.step.who} {row.step.what}: {row.got} {row.detail}" for row in wrong]
    return "\n".join(lines)


def _columns(row: Row) -> tuple[str, ...]:
    verdict = "ok" if row.as_expected else "NO"
    waited = f" (after {row.seconds:.1f} s)" if row.step.within else ""
    return (verdict, row.step.who, row.credential, row.step.what, row.step.expected, row.got + waited)


@dataclass(frozen=True, slots=True)
class Address:
    """Where things are while the demo stays up."""

    uri: str
    kubeconfig: str
    audit: str
    programs: str
    """The directory of ``mlflow``, ``python`` and ``workspace-authz``."""


def to_try(address: Address, tokens: Mapping[str, str]) -> str:
    """The URL, the tokens, and lines to paste into another terminal."""
    people = "\n".join(f"  {person.name:<8} {_rights(person):<28} {tokens[person.name]}" for person in PEOPLE)
    return f"""\
MLflow is at {address.uri}
Open it in a browser and sign in as alice, bob, carol or mallory, or with one of these tokens:

{people}

To be alice, in another terminal:

  export PATH={address.programs}:$PATH
  export MLFLOW_TRACKING_URI={address.uri}
  export MLFLOW_WORKSPACE={ALICE.namespace}
  export MLFLOW_TRACKING_TOKEN={tokens[ALICE.name]}
  mlflow experiments search

May she read team-b? After the second line (yours, as the cluster's administrator) she may:

  export KUBECONFIG={address.kubeconfig}
  kubectl -n team-b create rolebinding alice-view --clusterrole=view --user=alice
  workspace-authz can-i list experiments -n team-b

Who did what: tail -f {address.audit}
Ctrl-C ends it."""


def _rights(person: Person) -> str:
    return f"{person.role} in {person.namespace}" if person.role else "no rights"
