"""For a route and a request that it takes: the same request made costly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final
from urllib.parse import quote

from google.protobuf.descriptor import FieldDescriptor

from tests.fuzz.calls import call_of, leaves, replaced, texts, tree_of
from tests.fuzz.costly.bodies import compressed, exports, forms, graphql
from tests.fuzz.costly.texts import documents, filters
from tests.fuzz.costly.texts import texts as costly_texts
from tests.fuzz.wire import Wire, wired
from tests.scenarios.recipes.model import Call
from workspace_authz.catalog.entries import Entry
from workspace_authz.mlflow_adapter.reading.messages import message_of

HEAD_BYTES: Final = 40 * 2**10
"""What fits into a request line."""
_ON_EVERY_LEAF: Final = ("long", "marks")
"""Of the texts; of the others some are taken by chance."""
_FILTERS: Final = ("filter", "order", "page_token")
"""Words in the names of fields that MLflow parses."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route and how to call it."""

    entry: Entry
    call: Call
    workspace: str
    size: int
    """About so many bytes go over the wire; a query holds :data:`HEAD_BYTES` at most."""
    chance: int
    """So many of the inputs of one kind are taken, by :attr:`rng`, where there are more."""
    rng: Random = field(repr=False)

    def wire(self, call: Call | None = None) -> Wire:
        """A request as it goes over the wire."""
        return wired(self.entry.method, self.entry.path, call or self.call, workspace=self.workspace)

    @property
    def in_query(self) -> bool:
        """Whether fields go into the query."""
        return self.entry.method == "GET"

    @property
    def text_size(self) -> int:
        """Of a text in a field. Letters beyond ASCII take three times as many bytes in a query."""
        return min(self.size, HEAD_BYTES // 3) if self.in_query else self.size

    def some(self, items: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """By chance."""
        names = sorted(items)
        return [(name, items[name]) for name in self.rng.sample(names, min(self.chance, len(names)))]


Kind = Callable[[Route], Iterator[tuple[str, Wire]]]


def costly_inputs(route: Route) -> Iterator[tuple[str, Wire]]:
    """The route's inputs, each with a name."""
    for kind, make in KINDS.items():
        for name, wire in make(route):
            yield f"{kind}: {name}", wire


def _texts(route: Route) -> Iterator[tuple[str, Wire]]:
    """Every text of the call, one after the other."""
    values = costly_texts(route.text_size)
    for leaf in texts(route.call):
        if leaf[0] == "headers" or (leaf[0] == "body"):
            continue
        where = ".".join(map(str, leaf[1:]))
        chosen = [(name, values[name]) for name in _ON_EVERY_LEAF]
        chosen += route.some({name: text for name, text in values.items() if name not in _ON_EVERY_LEAF})
        for name, text in chosen:
            yield f"{where}: {name}", route.wire(call_of(replaced(tree_of(route.call), leaf, text)))


def _fields(route: Route) -> Iterator[tuple[str, Wire]]:
    """Every field that MLflow's message has."""
    message = message_of(route.entry.route)
    for each in message.fields if message is not None else ():
        for name, value in _of_field(route, each):
            fields = {**route.call.fields, each.name: value}
            yield f"{each.name}: {name}", route.wire(replace(route.call, fields=fields))


def _of_field(route: Route, each: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    number = (HEAD_BYTES if route.in_query else route.size) // (len(each.name) + 8)
    repeated = each.is_repeated
    if each.type == FieldDescriptor.TYPE_STRING:
        values = costly_texts(route.text_size)
        if any(word in each.name for word in _FILTERS):
            values = {**filters(min(route.text_size, HEAD_BYTES)), "long": values["long"]}
        for name, text in route.some(values):
            yield name, [text] if repeated else text
    if repeated and each.type == FieldDescriptor.TYPE_STRING:
        yield "many", [f"{index:x}" for index in range(number)]
        yield "the same", ["a"] * number
    elif repeated:
        yield "many", [{}] * number
        own = route.call.fields.get(each.name)
        if isinstance(own, list) and own:
            yield "the same", own * (number // 8)
    elif each.type == FieldDescriptor.TYPE_MESSAGE:
        deep: object = 0
        for _ in range(200):
            deep = {"value": deep}
        yield "deep", deep


def _lists(route: Route) -> Iterator[tuple[str, Wire]]:
    """Every list of the call, with its first element very often."""
    tree = tree_of(route.call)
    firsts = [leaf for leaf, _ in leaves(tree) if 0 in leaf]
    for above in dict.fromkeys(leaf[: leaf.index(0)] for leaf in firsts):
        value: Any = tree
        for key in above:
            value = value[key]
        cost = len(json.dumps(value[0])) + 2
        many = [value[0]] * ((HEAD_BYTES if route.in_query else route.size) // cost)
        yield ".".join(map(str, above[1:])), route.wire(call_of(replaced(tree, above, many)))


def _documents(route: Route) -> Iterator[tuple[str, Wire]]:
    if not route.in_query:
        for name, content in route.some(dict(documents(route.size))):
            yield name, _with_body(route.wire(), {"Content-Type": "application/json"}, content)


def _bodies(route: Route) -> Iterator[tuple[str, Wire]]:
    """Also for a GET, which has none."""
    made = (*compressed(route.size), *forms(route.size))
    for name, (headers, content) in route.some({name: (headers, content) for name, headers, content in made}):
        yield name, _with_body(route.wire(), headers, content)


def _spans(route: Route) -> Iterator[tuple[str, Wire]]:
    if route.entry.route.operation == "ExportTraces":
        for name, headers, content in exports(route.size):
            yield name, _with_body(route.wire(), headers, content)


def _graphql(route: Route) -> Iterator[tuple[str, Wire]]:
    if "graphql" in route.entry.path:
        for name, document in graphql(route.size):
            content = json.dumps({"query": document}).encode()
            yield name, _with_body(route.wire(), {"Content-Type": "application/json"}, content)


def _heads(route: Route) -> Iterator[tuple[str, Wire]]:
    """Header fields and queries, of as many bytes as a head may have."""
    plain, room = route.wire(), HEAD_BYTES
    many: Mapping[str, list[tuple[str, str]]] = {
        "fields": [("X-A", "a" * 200)] * 190,
        "too many fields": [("X-A", "a")] * (room // 8),
        "cookies": [("Cookie", "a=b; " * (room // 5))],
        "cookies of quotes": [("Cookie", 'a="' + "\\" * room)],
        "accepted": [("Accept", "a/b;q=0.1," * (room // 10))],
        "languages": [("Accept-Language", "a;q=0.1," * (room // 8))],
        "encodings": [("Accept-Encoding", "gzip;q=0.1," * (room // 11))],
        "ranges": [("Range", "bytes=" + "0-0," * (room // 4))],
        "tags": [("If-None-Match", '"a",' * (room // 4))],
        "an open tag": [("If-None-Match", '"' * room)],
        "parameters": [("Content-Type", "application/json;" + "a=b;" * (room // 4))],
        "open parameters": [("Content-Type", "application/json;" + 'a="\\' * (room // 4))],
        "forwarded": [("X-Forwarded-For", "10.0.0.1, " * (room // 10))],
        "a traceparent": [("traceparent", "-" * room), ("tracestate", "a=b," * (room // 4))],
        "baggage": [("baggage", "a=b," * (room // 4))],
        "a user agent": [("User-Agent", "mlflow-python-client/" + "9." * (room // 2))],
        "an origin": [("Origin", "https://" + "a." * (room // 2))],
        "a host": [("Host", "a." * (room // 2))],
        "upgrades": [("Connection", "upgrade," * (room // 8)), ("Upgrade", "h2c," * 99)],
        "a workspace": [("X-MLFLOW-WORKSPACE", "a" * room)],
    }
    for name, headers in route.some(many):
        own = {key for key, _ in headers if key in ("Content-Type", "Host", "X-MLFLOW-WORKSPACE")}
        kept = [item for item in plain.headers if item[0] not in own]
        yield name, replace(plain, headers=[*kept, *headers])
    queries = {
        "one parameter": "a=b&" * (room // 4),
        "empty parameters": "&" * room,
        "semicolons": ";" * room,
        "percents": "a=" + "%25" * (room // 3),
        "half percents": "%" * room,
        "parameters": "&".join(f"{index:x}=" for index in range(room // 6)),
        "brackets": "a" + "[]" * (room // 2),
        "marks": quote("a" + "\u0301" * (room // 12) + "\u0323" * (room // 12)) + "=b",
        "own parameters": "&".join([plain.query or "a=b"] * (room // (len(plain.query) + 4))),
    }
    for name, query in route.some(queries):
        yield f"query of {name}", replace(plain, query=query)


def _with_body(wire: Wire, headers: Mapping[str, str], content: bytes) -> Wire:
    kept = [item for item in wire.headers if item[0] not in headers]
    return replace(wire, headers=[*kept, *headers.items()], content=content)


KINDS: Final[Mapping[str, Kind]] = {
    "text": _texts,
    "field": _fields,
    "list": _lists,
    "JSON": _documents,
    "body": _bodies,
    "spans": _spans,
    "GraphQL": _graphql,
    "head": _heads,
}
"""Each makes inputs of one kind for a route, none where the kind does not fit."""


def some_of(route: Route, number: int) -> list[tuple[str, Wire]]:
    """So many inputs, by chance."""
    found = list(costly_inputs(route))
    return route.rng.sample(found, min(number, len(found)))
