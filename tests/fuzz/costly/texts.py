"""Texts, filters and documents that are short to send and could be long to read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, TypeVar

T = TypeVar("T")

_JOINS: Final = 300
"""Comparisons that MLflow's parser still takes."""
DEPTH: Final = 900
"""Of documents that Python's parser still reads: it ends at the interpreter's limit of 1000 frames."""


def listed(make: Callable[[int], Iterator[T]]) -> Callable[[int], Sequence[T]]:
    """``make``, whose results are kept: every route gets the same."""

    @cache
    def made(size: int) -> Sequence[T]:
        return tuple(make(size))

    return made


def marks(size: int) -> str:
    """A letter with combining marks of two classes, each out of order: ``size`` bytes in UTF-8."""
    half = size // 4
    return "a" + "\u0301" * half + "\u0323" * half


@cache
def texts(size: int) -> Mapping[str, str]:
    """By name; each is about ``size`` bytes in UTF-8."""
    return {
        "long": "a" * size,
        "marks": marks(size),
        "a host of marks": f"https://{marks(size)}.example/x",
        "digits": "9" * size,
        "blanks": "a" + " " * size + "a",
        "slashes": "/" * size,
        "dots": "../" * (size // 3),
        "percents": "%25" * (size // 3),
        "braces": "{{ a " * (size // 5),
        "quotes": "'" * size,
        "backslashes": "\\" * size,
        "parentheses": "(" * size,
        "newlines": "a\n" * (size // 2),
        "ligatures": "\ufdfa" * (size // 3),  # 18 characters each, once normalized
        "JSON, deep": "[" * DEPTH + "]" * DEPTH,
        "JSON, too deep": "[" * (size // 2) + "]" * (size // 2),
        "JSON, wide": "[" + "0," * (size // 2) + "0]",
        "base64": base64.b64encode(b"\x00" * (size * 3 // 4)).decode(),
    }


@cache
def filters(size: int) -> Mapping[str, str]:
    """For MLflow's parsers of searches; each is about ``size`` bytes."""
    number = size // 16
    listed = ", ".join(f"'{index:x}'" for index in range(size // 8))
    return {
        "conditions": " AND ".join(["tags.a = 'b'"] * min(_JOINS, size // 17)),
        "names": " AND ".join(["name LIKE '%a%'"] * (size // 20)),
        "alternatives": " OR ".join(["name = 'a'"] * (size // 14)),
        "a list": f"run_id IN ({listed})",
        "another list": f"attributes.run_id IN ({listed})",
        "a list of tags": f"tags.a IN ({listed})",
        "a pattern": f"name LIKE '{'%a' * number}b'",
        "an open list": "name IN (" + "(" * size,
        "nested": "(" * number + "name = 'a'" + ")" * number,
        "nested lists": "name IN " + "('a', " * number + ")" * number,
        "an open quote": "name = '" + "a" * size,
        "quotes": "name = " + "''" * (size // 2),
        "backticks": "tags.`" + "`" * size,
        "words": "a " * (size // 2),
        "dots": "a." * (size // 2) + "b = 'c'",
        "commas": "," * size,
        "semicolons": "name = 'a';" * (size // 11),
        "comments": "/*" * (size // 2),
        "dashes": "--a\n" * (size // 4),
        "operators": "=" * size,
        "case": "CASE " * (size // 5),
        "begin": "BEGIN IF " * (size // 9),
        "a number": "metrics.a = " + "1" * size,
        "dollars": "$a$" * (size // 3),
        "brackets": "[" * size,
        "blanks": "name" + " " * size + "= 'a'",
        "a comparison of many": "a = b = " * (size // 8),
        "marks": f"name = '{marks(size)}'",
    }


@listed
def documents(size: int) -> Iterator[tuple[str, bytes]]:
    """JSON bodies whatever the route."""
    half = size // 2
    deep = b"[" * DEPTH + b"]" * DEPTH
    yield "deep", b'{"a": %s}' % deep
    yield "too deep", b'{"a": ' + b"[" * half + b"]" * half + b"}"
    yield "too deep and open", b'{"a":' * (size // 5)
    yield "deep and wide", b"[%s]" % b",".join([deep] * (size // len(deep) + 1))
    yield "wide", b'{"a": [%s0]}' % (b"0," * half)
    yield "objects", b'{"a": [%s{}]}' % (b"{}," * (size // 3))
    yield "keys", json.dumps({f"{index:x}": 0 for index in range(size // 12)}).encode()
    yield "one key", b"{%s}" % b",".join([b'"a":0'] * (size // 6))
    yield (
        "keys that collide",
        json.dumps({str(index * (2**61 - 1)): 0 for index in range(size // 24)}).encode(),
    )
    yield "a number", b'{"a": %s}' % (b"9" * size)
    yield "exponents", b'{"a": [%s0]}' % (b"1e999," * (size // 6))
    yield "blanks", b"{" + b" " * size + b"}"
    yield "escapes", b'{"a": "%s"}' % (b"\\u0301\\u0323" * (size // 12))
    yield "a list", b"[%s0]" % (b"0," * half)
    yield "a text", json.dumps("[" * half).encode()
    yield "a text with a list", json.dumps("[" + "0," * half + "0]").encode()
    yield "marks as a key", json.dumps({marks(size): 0}, ensure_ascii=False).encode()
    yield "UTF-32", ('{"a": "' + "b" * (size // 4) + '"}').encode("utf-32")
