"""Ways to change what a call says: other objects, other fields, other types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from tests.fuzz.calls import at, call_of, crossed, differing, places, replaced, texts, tree_of
from tests.fuzz.words import Words
from tests.scenarios.recipes.model import Call


def _cross(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """Some of the objects are the other workspace's."""
    where = differing(own, foreign)
    return crossed(own, foreign, [leaf for leaf in where if rng.randint(0, 1)])


def _foreign(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """All of them are."""
    return foreign


def _word(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """Some text is something foreign, of whatever kind."""
    where = texts(own)
    if not where:
        return own
    leaf = rng.choice(where)
    of_places = leaf in places(own) or not rng.randint(0, 3)
    return call_of(replaced(tree_of(own), leaf, rng.choice(words.places if of_places else words.values)))


def _extra(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """One more field."""
    key, value = rng.choice(words.extras())
    if isinstance(own.json, dict):
        return replace(own, json={**own.json, key: value})
    if rng.randint(0, 1):
        return replace(own, query={**own.query, key: value})
    return replace(own, fields={**own.fields, key: value})


def _type(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """A value of another type or spelling."""
    where = [leaf for leaf in texts(own) if leaf[0] in ("fields", "json")]
    if not where:
        return own
    leaf = rng.choice(where)
    value = at(tree_of(rng.choice((own, foreign))), leaf)
    text = value if isinstance(value, str) else "1"
    others: list[Any] = [
        [text],
        {"": text},
        None,
        True,
        int(text) if text.isdigit() else 0,
        json.dumps(text),
        f" {text}",
        f"{text} ",
        f"0{text}",
        text.upper(),
        f"{text}\0",
        f"{text}%00",
        f"{text}/",
    ]
    return call_of(replaced(tree_of(own), leaf, rng.choice(others)))


def _camel(rng: Random, own: Call, foreign: Call, words: Words) -> Call:
    """Keys in lowerCamelCase or under an old name, instead of or beside the usual ones, with other values."""
    source = rng.choice((own, foreign))
    renamed = {_renamed(rng, key): value for key, value in source.fields.items()}
    if rng.randint(0, 1):
        return replace(own, fields=renamed)
    both = [*own.fields.items(), *renamed.items()]
    rng.shuffle(both)
    return replace(own, fields=dict(both))


def _renamed(rng: Random, key: str) -> str:
    if key == "run_id" and rng.randint(0, 1):
        return "run_uuid"
    return re.sub("_([a-z])", lambda found: found[1].upper(), key)


MEANINGS: Final[Mapping[str, Callable[[Random, Call, Call, Words], Call]]] = {
    "some foreign": _cross,
    "all foreign": _foreign,
    "a foreign word": _word,
    "one more field": _extra,
    "another type": _type,
    "camelCase": _camel,
}
"""Each takes the caller's own call and the same of another workspace."""
