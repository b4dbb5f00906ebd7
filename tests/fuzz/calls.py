"""A call as a tree of values: which of them are another workspace's, and calls with some exchanged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.scenarios.recipes.model import Call

Leaf = tuple[str | int, ...]
"""Where a value is: ``("fields", "metrics", 0, "model_id")``."""

_PARTS: Final = ("path", "fields", "query", "json", "body", "headers")
_ABSENT: Final = object()


def tree_of(call: Call) -> dict[str, Any]:
    """The call's parts by name."""
    return {part: getattr(call, part) for part in _PARTS}


def call_of(tree: dict[str, Any]) -> Call:
    """The opposite of :func:`tree_of`."""
    return Call(**tree)


def leaves(tree: Any, above: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """Every value that holds no others, and where it is."""
    if isinstance(tree, dict):
        items: Iterable[tuple[str | int, Any]] = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        yield above, tree
        return
    for key, value in items:
        yield from leaves(value, (*above, key))


def at(tree: Any, leaf: Leaf) -> Any:
    """The value there, or something that equals nothing."""
    for key in leaf:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return tree


def replaced(tree: Any, leaf: Leaf, value: Any) -> Any:
    """A copy with another value there."""
    if not leaf:
        return value
    key, below = leaf[0], leaf[1:]
    copy = list(tree) if isinstance(tree, list) else dict(tree)
    copy[key] = replaced(copy[key], below, value)  # type: ignore[index]  # a list has numbers, a dict has names
    return copy


def texts(call: Call) -> list[Leaf]:
    """Where the call has texts."""
    return [leaf for leaf, value in leaves(tree_of(call)) if isinstance(value, str) and value]


def places(call: Call) -> list[Leaf]:
    """Where the call has a path or an address."""
    return [leaf for leaf in texts(call) if re.search("path|source|uri|location", str(leaf[-1]))]


def differing(own: Call, foreign: Call) -> list[Leaf]:
    """Where two calls of one operation hold different values: what identifies objects."""
    theirs = tree_of(foreign)
    return [
        leaf
        for leaf, value in leaves(tree_of(own))
        if value is not None and at(theirs, leaf) not in (value, _ABSENT)
    ]


def crossed(own: Call, foreign: Call, where: Iterable[Leaf]) -> Call:
    """``own`` with the other's values in some places."""
    tree, theirs = tree_of(own), tree_of(foreign)
    for leaf in where:
        tree = replaced(tree, leaf, at(theirs, leaf))
    return call_of(tree)
