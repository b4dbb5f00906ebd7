"""GraphQL documents at random: aliases, fragments, variables and their defaults, several operations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

IDS = ("1", "2", "3", "")
_RUN = """
  run {
    info { runUuid experimentId }
    %s
    data { metrics { value key } }
  }
"""
_NESTED = (
    "experiment { name }",
    "own: experiment { experimentId }",
    "modelVersions { version n: name }",
    "... on MlflowRunExtension { modelVersions { version } experiment { name } }",
    "...Run",
    "info { status }",
)
_FRAGMENT = "fragment Run on MlflowRunExtension { again: modelVersions { source } experiment { name } }"


@dataclass
class Document:
    """One being written, and what goes with it."""

    variables: dict[str, Any] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)

    def variable(self, draw: st.DrawFn, kind: str, value: Any) -> str:
        """A variable for ``value``: sent, or left to its default, or sent beside another default."""
        name = f"v{len(self.declared)}"
        default = draw(st.sampled_from(("", f" = {_literal(value)}", f" = {_literal(_other(value))}")))
        if default != f" = {_literal(value)}" or draw(st.booleans()):
            self.variables[name] = value
        self.declared.append(f"${name}: {kind}{default}")
        return f"${name}"

    def value(self, draw: st.DrawFn, kind: str, value: Any) -> str:
        """``value`` as a literal or as a variable."""
        return self.variable(draw, kind, value) if draw(st.booleans()) else _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def _other(value: Any) -> Any:
    return "2" if isinstance(value, str) else value


@st.composite
def selections(draw: st.DrawFn, document: Document, *, mutation: bool, number: int) -> str:
    """One top-level field."""
    nested = " ".join(draw(st.lists(st.sampled_from(_NESTED), max_size=3)))
    run = _RUN % nested
    one, many = draw(st.sampled_from(IDS)), draw(st.lists(st.sampled_from(IDS), max_size=3))
    spelling = draw(st.sampled_from(("runId", "runUuid")))
    fields: dict[str, tuple[str, str, Any, str]] = {
        "mlflowSearchRuns": ("experimentIds", "[String]", many, run.replace("run {", "runs {", 1)),
        "mlflowSearchDatasets": ("experimentIds", "[String]", many, "datasetSummaries { name }"),
    }
    if not mutation:
        fields |= {
            "mlflowGetExperiment": ("experimentId", "String", one, "experiment { name }"),
            "mlflowGetRun": (spelling, "String", one, run),
            "mlflowListArtifacts": (spelling, "String", one, "rootUri"),
            "mlflowGetMetricHistoryBulkInterval": ("runIds", "[String]", many, "metrics { key }"),
            "mlflowSearchModelVersions": ("filter", "String", one, "modelVersions { name }"),
        }
        del fields["mlflowSearchDatasets"]
    name = draw(st.sampled_from(sorted(fields)))
    argument, kind, value, body = fields[name]
    whole = f"{name[0].upper()}{name[1:]}Input"
    given = (
        document.variable(draw, whole, {argument: value})
        if draw(st.booleans())
        else f"{{{argument}: {document.value(draw, kind, value)}}}"
    )
    selected = f"a{number}: {name}(input: {given}) {{ {body} }}"
    if draw(st.booleans()):
        return selected
    return f"... on {'Mutation' if mutation else 'Query'} {{ {selected} }}"


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """The JSON of one request."""
    document = Document()
    mutation = draw(st.booleans())
    fields = [
        draw(selections(document, mutation=mutation, number=number))
        for number in range(draw(st.integers(1, 4)))
    ]
    extra = draw(st.sampled_from(("", "__typename", 'test(inputString: "x") { output }')))
    declared = f"({', '.join(document.declared)})" if document.declared else ""
    kind = "mutation" if mutation else "query"
    text = f"{kind} Mine{declared} {{ {' '.join(fields)} {'' if mutation else extra} }}"
    if "...Run" in text:
        text += f"\n{_FRAGMENT}"
    asked: dict[str, Any] = {"query": text, "variables": document.variables}
    if draw(st.booleans()):
        other = 'query Other { mlflowGetExperiment(input: {experimentId: "other"}) { experiment { name } } }'
        asked["query"] = draw(st.sampled_from((f"{text}\n{other}", f"{other}\n{text}")))
        asked["operationName"] = draw(st.sampled_from(("Mine", "Mine", "Other")))
    return asked
