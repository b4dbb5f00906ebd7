"""Calls, made foreign and spelt otherwise, sent, and held against what must not happen."""

from __future__ import annotations

import http.client
from dataclasses import replace
from random import Random

from tests.fuzz.calls import call_of, crossed, differing, places, replaced, tree_of
from tests.fuzz.meanings import MEANINGS
from tests.fuzz.wire import SPELLINGS, Wire, wired
from tests.fuzz.world import World
from tests.harness.http import Answer, bearer
from tests.scenarios.recipes.model import Call
from workspace_authz.catalog.entries import Entry


def each_position(world: World, entry: Entry) -> None:
    """One own object after the other exchanged for a foreign one, then all of them; every foreign place."""
    for foreign in world.others(entry.route.operation):
        own = world.own(entry.route.operation)
        where = differing(own, foreign)
        for leaf in where:
            _send(world, wired(entry.method, entry.path, crossed(own, foreign, [leaf]), workspace=world.home))
        _send(world, wired(entry.method, entry.path, foreign, workspace=world.home))
    own = world.own(entry.route.operation)
    tried = [call_of(replaced(tree_of(own), leaf, to)) for leaf in places(own) for to in world.words.places]
    if own.fields.keys() >= {"key", "value"}:
        tried += [replace(own, fields={**own.fields, **tag}) for tag in world.words.reserved()]
    for call in tried:
        _send(world, wired(entry.method, entry.path, call, workspace=world.home))


def at_random(world: World, entry: Entry, rng: Random) -> None:
    """Some meanings and some spellings."""
    call = world.own(entry.route.operation)
    foreign = rng.choice(world.others(entry.route.operation) or [Call()])
    meanings = rng.sample(sorted(MEANINGS), rng.randint(0, 2))
    for name in meanings:
        call = MEANINGS[name](rng, call, foreign, world.words)
    wire = wired(entry.method, entry.path, call, workspace=world.home)
    spellings = rng.sample(sorted(SPELLINGS), rng.randint(0 if meanings else 1, 2))
    for name in spellings:
        SPELLINGS[name](rng, wire, world.words)
    wire.notes += [*meanings, *spellings]
    _send(world, wire)


def nothing_changed(world: World) -> None:
    """Hold the other workspaces against what they were; names what was sent since the last time."""
    sent, world.sent = world.sent, []
    changed = world.changed()
    if changed:
        tried = "\n\n".join(map(str, sent))
        raise AssertionError(f"{sorted(changed)[:10]} changed by one of\n{tried}")


def _send(world: World, wire: Wire) -> None:
    world.sent.append(wire)
    answer = _answer(world, wire)
    if answer is None:
        return
    world.statuses.append(answer.status)
    leaked = world.leaked(answer, wire.mentions)
    if answer.status < 300 and wire.method not in ("GET", "HEAD"):
        world.stored.append(wire.mentions)
    assert not leaked, f"{sorted(leaked)} came back from\n{wire}\n{answer.status} {answer.text[:2000]}"


def _answer(world: World, wire: Wire) -> Answer | None:
    """None where a client cannot even say it, or the server closes the connection."""
    headers = [*bearer(world.token).items(), *wire.headers]
    try:
        return world.connection.request(wire.method, wire.target, headers=headers, body=wire.content)
    except (ValueError, http.client.HTTPException, ConnectionError):
        return None
    finally:
        if any(name == "Transfer-Encoding" for name, _ in wire.headers):
            world.connection.close()  # what is left of the body must not be taken for the next answer
