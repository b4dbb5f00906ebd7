"""Identity stamps in JSON: the caller is written where MLflow records who did something.

MLflow reads a body with Python's ``json``, and so do we: what is written again equals what was read. A stamp
stands first in its object, because protobuf's parser stops at a field that it cannot take, and MLflow goes on
with the fields before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.catalog.stamp import Person, Shape, Stamp
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import parse_text
from workspace_authz.mlflow_adapter.reading.spellings import same_key, spellings
from workspace_authz.types import UserInfo

_MACHINES: Final = frozenset({"LLM_JUDGE", "CODE"})
_JSON: Final = "@json"
_EACH: Final = "[]"

Edit = Callable[[Any], Any]


def stamped_document(document: Mapping[str, Any], stamps: Iterable[Stamp], *, user: UserInfo) -> bytes:
    """``document`` as JSON, with ``user`` at each of the stamps.

    Raises :class:`BadRequestError` for a document in which MLflow might find a place elsewhere.
    """
    edited: Any = document
    try:
        for stamp in stamps:
            edited = _edited(edited, _steps(stamp.place), edit=_Writer(stamp, user))
        return json.dumps(edited).encode()
    except RecursionError:
        raise _not_understood() from None


def person(stamp: Stamp, user: UserInfo, *, sent: str) -> str:
    """The name to write where ``sent`` was, which may be empty."""
    match stamp.person:
        case Person.AUTHOR:
            return user.recorded_name
        case Person.AUTHOR_UID:
            return user.recorded_uid
        case Person.END_USER:
            return sent if sent and user.service_account is not None else user.recorded_name


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one stamp into what holds it; None stands for what was not sent."""

    stamp: Stamp
    user: UserInfo

    def __call__(self, holder: Any) -> Any:
        if holder is None and self.stamp.when_sent:
            return None
        match self.stamp.shape:
            case Shape.FIELD:
                return self._field(_object(holder))
            case Shape.MAP:
                return self._map(_object(holder))
            case Shape.PAIRS:
                return self._pairs(_list(holder))
            case Shape.PAIR:
                return self._pair(_object(holder))
            case Shape.LEFT_OUT:
                return self._left_out(_object(holder))
            case Shape.SPANS:
                raise TypeError("spans are no JSON document")

    def _field(self, holder: dict[str, Any]) -> dict[str, Any]:
        names = spellings(self.stamp.key)
        sent = [holder[name] for name in names if name in holder]
        if self.stamp.unless_machine and _has_machine_source(holder):
            return holder
        if self.stamp.when_sent and not sent:
            return holder
        others = {name: value for name, value in holder.items() if name not in names}
        return {self.stamp.key: self._name(sent), **others}

    def _left_out(self, holder: dict[str, Any]) -> dict[str, Any]:
        names = spellings(self.stamp.key)
        return {name: value for name, value in holder.items() if name not in names}

    def _map(self, holder: dict[str, Any]) -> dict[str, Any]:
        sent = [value for key, value in holder.items() if same_key(key, self.stamp.key)]
        if self.stamp.when_sent and not sent:
            return holder
        others = {key: value for key, value in holder.items() if not same_key(key, self.stamp.key)}
        return {self.stamp.key: self._name(sent), **others}

    def _pairs(self, holder: list[Any]) -> list[Any]:
        pairs = [_object(pair, absent=False) for pair in holder]
        sent = [pair.get("value") for pair in pairs if self._is_key(pair)]
        if self.stamp.when_sent and not sent:
            return holder
        others = [pair for pair in pairs if not self._is_key(pair)]
        return [{"key": self.stamp.key, "value": self._name(sent)}, *others]

    def _pair(self, holder: dict[str, Any]) -> dict[str, Any]:
        if not self._is_key(holder):
            return holder
        return {**holder, "value": self._name([holder.get("value")])}

    def _is_key(self, pair: dict[str, Any]) -> bool:
        key = pair.get("key", "")
        if not isinstance(key, str):
            raise _not_understood()
        return same_key(key, self.stamp.key)

    def _name(self, sent: list[Any]) -> str:
        only = sent[0] if len(sent) == 1 and isinstance(sent[0], str) else ""
        return person(self.stamp, self.user, sent=only)


def _edited(value: Any, steps: tuple[str, ...], *, edit: Edit) -> Any:
    """``value`` with ``edit`` applied to what is at the end of ``steps``; the last step may be missing."""
    if not steps:
        return edit(value)
    if value is None:
        return None
    holder, step, further = _object(value), steps[0], steps[1:]
    name, kind = _split(step)
    names = [spelling for spelling in spellings(name) if spelling in holder] or [name]
    edited = {
        spelling: changed
        for spelling in names
        if (changed := _entered(holder.get(spelling), kind, steps=further, edit=edit)) is not None
    }
    return {**edited, **{key: value for key, value in holder.items() if key not in edited}}


def _entered(value: Any, kind: str, *, steps: tuple[str, ...], edit: Edit) -> Any:
    if kind.startswith(_JSON):
        if value is not None and not isinstance(value, str):
            raise _not_understood()
        inner = parse_text(value) if value else None
        changed = _entered(inner, kind.removeprefix(_JSON), steps=steps, edit=edit)
        return value if changed is None else json.dumps(changed)
    if kind != _EACH:
        return _edited(value, steps, edit=edit)
    if value is None:
        return None
    return [_edited(_object(each, absent=False), steps, edit=edit) for each in _list(value)]


def _steps(place: str) -> tuple[str, ...]:
    return tuple(place.split(".")) if place else ()


def _split(step: str) -> tuple[str, str]:
    """``records@json[]`` is ``records`` and how to get into it."""
    ends = [position for mark in (_JSON, _EACH) if (position := step.find(mark)) >= 0]
    end = min(ends, default=len(step))
    return step[:end], step[end:]


def _has_machine_source(source: dict[str, Any]) -> bool:
    sent = [source[name] for name in spellings("source_type") if name in source]
    return bool(sent) and all(isinstance(kind, str) and kind in _MACHINES for kind in sent)


def _object(value: Any, *, absent: bool = True) -> dict[str, Any]:
    if value is None and absent:
        return {}
    if not isinstance(value, dict):
        raise _not_understood()
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _not_understood()
    return value


def _not_understood() -> BadRequestError:
    return BadRequestError(
        "This request is refused: its caller is to be written into it, and it is not built as MLflow expects."
    )
