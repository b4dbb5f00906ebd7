"""Calls, made foreign and spelt otherwise, sent, and held against what must not happen."""

from __future__ import annotations

import http.client
from dataclasses import replace
from random import Random

from tests.fuzz.calls import call_of, crossed, differing, places, replaced, tree_of
from tests.fuzz.headers import in_turn, on_every_route
from tests.fuzz.meanings import MEANINGS
from tests.fuzz.wire import SPELLINGS, Wire, wired
from tests.fuzz.world import World
from tests.harness.http import Answer, bearer
from tests.scenarios.people import TEAM_B
from tests.scenarios.recipes.model import Call
from workspace_authz.catalog.entries import Entry


def each_position(world: World, entry: Entry) -> None:
    """One own object after the other exchanged for a foreign one, then all of them."""
    for foreign in world.others(entry.route.operation):
        own = world.own(entry.route.operation)
        where = differing(own, foreign)
        for leaf in where:
            _send(world, wired(entry.method, entry.path, crossed(own, foreign, [leaf]), workspace=world.home))
        _send(world, wired(entry.method, entry.path, foreign, workspace=world.home))


def each_place(world: World, entry: Entry) -> None:
    """Every path and address exchanged for each foreign one; tags that hold one."""
    own = world.own(entry.route.operation)
    tried = [call_of(replaced(tree_of(own), leaf, to)) for leaf in places(own) for to in world.words.places]
    if own.fields.keys() >= {"key", "value"}:
        tried += [replace(own, fields={**own.fields, **tag}) for tag in world.words.reserved()]
    for call in tried:
        _send(world, wired(entry.method, entry.path, call, workspace=world.home))


def each_header(world: World, entry: Entry, *, turn: int) -> None:
    """What is another workspace's, asked for with every header that could lead there."""
    for workspace, calls in world.elsewhere.items():
        call = calls.get(entry.route.operation, Call())
        plain = list(on_every_route(world.home, workspace).items())
        odd = sorted(in_turn(world.home, workspace).items())
        # What would lead to one workspace would lead to all.
        for name, headers in (*plain, odd[turn % len(odd)])[: None if workspace == TEAM_B else 1]:
            wire = wired(entry.method, entry.path, call, workspace="")
            wire.headers = [*headers, *wire.headers[1:]]
            wire.notes.append(name)
            _send(world, wire)


def each_key_twice(world: World, entry: Entry) -> None:
    """Keys of the query and of a JSON body that stand twice, once for an own object and once for another."""
    for foreign in world.others(entry.route.operation):
        own = world.own(entry.route.operation)
        mine, theirs = (
            wired(entry.method, entry.path, call, workspace=world.home) for call in (own, foreign)
        )
        if not mine.query and not _is_object(mine):
            continue
        for first, second in ((mine, theirs), (theirs, mine)):
            query = f"{first.query}&{second.query}" if mine.query else ""
            _send(world, replace(mine, query=query, content=_both(first, second), notes=["twice"]))


def _is_object(wire: Wire) -> bool:
    return wire.content is not None and wire.content[:1] == b"{" and wire.content[-1:] == b"}"


def _both(first: Wire, second: Wire) -> bytes | None:
    """One JSON object with what two requests have in theirs; the body of the first that has no such thing."""
    if first.content is None or second.content is None or not (_is_object(first) and _is_object(second)):
        return first.content
    return b"{%s, %s}" % (first.content[1:-1], second.content[1:-1])


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
        world.remember()  # the next operation is blamed for its own doing
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
