"""No long runs of combining marks in text that is normalized.

``unicodedata.normalize`` orders a run of combining marks by insertion, in time that grows with the square of
its length, and holds the interpreter's lock meanwhile: 128,000 marks, 290 bytes when compressed, stood a
worker still for 16 s. Unicode's Stream-Safe Text Format (UAX #15, section 13) allows 30 in a row, and no
language uses more. The check takes linear time. Requests with tags, metadata or URLs pay for it, and only for
text beyond ASCII.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from workspace_authz.catalog.normalized_text import KEYS, URLS
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.spellings import LONGEST_KEY, spellings

MAX_MARKS: Final = 30
_IN_THREAD: Final = 8 * 1024
"""Characters beyond ASCII. From this number on, a worker thread looks at them."""


async def check_marks(reader: RequestReader) -> None:
    """Check every text of the request that is normalized. Raises :class:`BadRequestError`.

    That is also for a body that is too large to be read. One that is no JSON is left to MLflow, which cannot
    read it either.
    """
    operation = reader.match.route.operation
    keys, urls = KEYS.get(operation, ()), URLS.get(operation, ())
    if not keys and not urls:
        return
    body = await reader.json()
    if not body.readable:
        body.demand_all()
        return
    # A longer key is not normalized, and MLflow refuses it.
    texts = [
        text for place in keys for text in _texts(body.value, place.split(".")) if len(text) <= LONGEST_KEY
    ]
    texts += [text for place in urls for text in _texts(body.value, place.split("."))]
    beyond_ascii = [text for text in texts if not text.isascii()]
    large = sum(map(len, beyond_ascii)) > _IN_THREAD
    if await asyncio.to_thread(_any_long_run, beyond_ascii) if large else _any_long_run(beyond_ascii):
        raise BadRequestError(
            f"A name or a URL of this request has more than {MAX_MARKS} combining marks in a row."
        )


def _any_long_run(texts: Iterable[str]) -> bool:
    return any(map(has_long_run, texts))


def has_long_run(text: str) -> bool:
    """Whether ``text`` has more than :data:`MAX_MARKS` combining marks in a row, once it is decomposed."""
    if text.isascii():
        return False
    run = 0
    for letter in text:
        run = run + 1 if _begins_with_mark(letter) else 0
        if run > MAX_MARKS:
            return True
    return False


@lru_cache(maxsize=4096)
def _begins_with_mark(letter: str) -> bool:
    """Some letters that are no combining marks are decomposed into marks, as U+0F73 and U+FF9E."""
    return unicodedata.combining(unicodedata.normalize("NFKD", letter)[0]) != 0


def _texts(value: Any, steps: list[str]) -> Iterator[str]:
    """The texts at a place, each step in every spelling that protobuf takes."""
    if not steps:
        if isinstance(value, str):
            yield value
        return
    if not isinstance(value, dict):
        return
    step, further = steps[0], steps[1:]
    for kind in ("[]", "{}=", "{}", ""):
        if step.endswith(kind):
            break
    for name in spellings(step.removesuffix(kind)):
        yield from (text for inner in _inner(value.get(name), kind) for text in _texts(inner, further))


def _inner(value: Any, kind: str) -> Iterable[Any]:
    match kind:
        case "[]":
            return value if isinstance(value, list) else ()
        case "{}":
            return value.keys() if isinstance(value, dict) else ()
        case "{}=":
            return value.values() if isinstance(value, dict) else ()
        case _:
            return (value,)
