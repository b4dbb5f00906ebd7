"""Label and field selectors: as query parameters, and as objects in aggregation rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from workspace_authz.devplane.embedded.objects import Object, labels_of, metadata
from workspace_authz.devplane.embedded.status import bad_request

Predicate = Callable[[Mapping[str, str]], bool]
"""Whether a set of labels is selected."""

Selection = Callable[[Object], bool]
"""Whether an object is selected."""

_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^\s!=]+)\s*(?P<operator>==|=|!=)\s*(?P<value>\S*)")
_EXISTENCE = re.compile(r"(?P<absent>!?)\s*(?P<key>[^\s!=<>()]+)")
_TERM_SEPARATOR = re.compile(r",(?![^(]*\))")
_FIELDS: Final[Mapping[str, Callable[[Object], str]]] = MappingProxyType(
    {
        "metadata.name": lambda obj: str(metadata(obj).get("name", "")),
        "metadata.namespace": lambda obj: str(metadata(obj).get("namespace", "")),
        "type": lambda obj: str(obj.get("type", "")),
        "status.phase": lambda obj: str((obj.get("status") or {}).get("phase", "")),
    }
)


def selection(*, labels: str, fields: str) -> Selection:
    """What the query parameters ``labelSelector`` and ``fieldSelector`` select. Raises a 400."""
    by_labels = [_label_term(term) for term in _terms(labels)]
    by_fields = [_field_term(term) for term in _terms(fields)]

    def selected(obj: Object) -> bool:
        own = labels_of(obj)
        return all(term(own) for term in by_labels) and all(term(obj) for term in by_fields)

    return selected


def exact_name(fields: str) -> str:
    """The one name that a ``fieldSelector`` demands, or nothing."""
    for term in _terms(fields):
        match = _EQUALITY.fullmatch(term)
        if match and match["key"] == "metadata.name" and match["operator"] != "!=":
            return match["value"]
    return ""


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a ``LabelSelector`` object selects these labels; an empty one selects everything."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(each)(labels) for each in selector.get("matchExpressions") or ())


def _expression(expression: Mapping[str, Any]) -> Predicate:
    key, values = expression.get("key", ""), tuple(expression.get("values") or ())
    match expression.get("operator"):
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case _:
            return lambda labels: key not in labels


def _terms(selector: str) -> list[str]:
    return [term.strip() for term in _TERM_SEPARATOR.split(selector) if term.strip()]


def _label_term(term: str) -> Predicate:
    if match := _SET.fullmatch(term):
        values = [value.strip() for value in match["values"].split(",")]
        operator = "In" if match["operator"] == "in" else "NotIn"
        return _expression({"key": match["key"], "operator": operator, "values": values})
    if match := _EQUALITY.fullmatch(term):
        operator = "NotIn" if match["operator"] == "!=" else "In"
        return _expression({"key": match["key"], "operator": operator, "values": [match["value"]]})
    if match := _EXISTENCE.fullmatch(term):
        return _expression({"key": match["key"], "operator": "DoesNotExist" if match["absent"] else "Exists"})
    raise bad_request(f"unable to parse requirement: {term}")


def _field_term(term: str) -> Selection:
    match = _EQUALITY.fullmatch(term)
    if not match:
        raise bad_request(f"invalid field selector: {term}")
    if (read := _FIELDS.get(match["key"])) is None:
        raise bad_request(f"field label not supported: {match['key']}")
    value, negated = match["value"], match["operator"] == "!="
    return lambda obj: (read(obj) == value) is not negated
