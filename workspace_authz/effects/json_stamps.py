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
from workspace_authz.mlflow_adapter.reading.spellings import begins_with_key, same_key, spellings
from workspace_authz.types import UserInfo

_MACHINES: Final = frozenset({"LLM_JUDGE", "CODE"})
_JSON: Final = "@json"
_EACH: Final = "[]"
_SOURCE: Final = "source"
_SOURCE_ID: Final = "source_id"
_METADATA: Final = "metadata"

Edit = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Author:
    """Whom the stamps of a request name."""

    user: UserInfo
    """The caller."""
    keeps_end_users: bool = True
    """Whether what an application says about its end users is kept."""
    is_written: bool = True
    """Whether the caller is written at all."""

    def stamps(self, stamps: Iterable[Stamp]) -> list[Stamp]:
        """Those of ``stamps`` that hold for this author."""
        return [stamp for stamp in stamps if self.is_written or not stamp.names_caller]

    def name(self, stamp: Stamp, *, sent: str) -> str:
        """The name to write where ``sent`` was, which may be empty."""
        return sent if sent and self.keeps(stamp) else self.user.recorded_name

    def keeps(self, stamp: Stamp) -> bool:
        """Whether what was sent in the place of ``stamp`` stays."""
        return stamp.person is Person.END_USER and self.keeps_end_users

    @property
    def keeps_sources(self) -> bool:
        """Whether the human source of an assessment stays: a service passes on what its users say."""
        return self.keeps_end_users and self.user.service_account is not None


def stamped_document(document: Mapping[str, Any], stamps: Iterable[Stamp], *, author: Author) -> bytes:
    """``document`` as JSON, with ``author`` at each of the stamps.

    Raises :class:`BadRequestError` for a document in which MLflow might find a place elsewhere.
    """
    edited: Any = document
    try:
        for stamp in stamps:
            edited = _edited(edited, _steps(stamp.place), edit=_Writer(stamp, author))
        return json.dumps(edited).encode()
    except RecursionError:
        raise _not_understood() from None


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one stamp into what holds it; None stands for what was not sent."""

    stamp: Stamp
    author: Author

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
            case Shape.RESERVED:
                return self._unreserved(holder)
            case Shape.SOURCE:
                return self._source(_object(holder))
            case Shape.SPANS:
                raise TypeError("spans are no JSON document")

    def _field(self, holder: dict[str, Any]) -> dict[str, Any]:
        names = spellings(self.stamp.key)
        sent = [holder[name] for name in names if name in holder]
        if self.stamp.when_sent and not sent:
            return holder
        others = {name: value for name, value in holder.items() if name not in names}
        return {self.stamp.key: self._name(sent), **others}

    def _left_out(self, holder: dict[str, Any]) -> dict[str, Any]:
        names = spellings(self.stamp.key)
        return {name: value for name, value in holder.items() if name not in names}

    def _unreserved(self, holder: Any) -> Any:
        prefix = self.stamp.key
        if holder is None:
            return None
        if isinstance(holder, dict):
            return {key: value for key, value in holder.items() if not begins_with_key(key, prefix)}
        pairs = [_object(pair, absent=False) for pair in _list(holder)]
        return [pair for pair in pairs if not begins_with_key(_key_of(pair), prefix)]

    def _source(self, assessment: dict[str, Any]) -> dict[str, Any]:
        """The source of an assessment, and in its metadata who recorded a source that stays as sent."""
        metadata = {
            key: value
            for key, value in _object(assessment.get(_METADATA)).items()
            if not same_key(key, self.stamp.key)
        }
        source = _object(assessment.get(_SOURCE))
        sent = [source[name] for name in spellings(_SOURCE_ID) if name in source]
        if not (_has_machine_source(source) or (self.stamp.when_sent and not sent)):
            if self.author.keeps_sources and any(isinstance(name, str) and name for name in sent):
                metadata = {self.stamp.key: self.author.user.recorded_name, **metadata}
            else:
                others = {key: value for key, value in source.items() if key not in spellings(_SOURCE_ID)}
                source = {_SOURCE_ID: self.author.user.recorded_name, **others}
        stamped = {name: value for name, value in ((_SOURCE, source), (_METADATA, metadata)) if value}
        return {**stamped, **{name: value for name, value in assessment.items() if name not in stamped}}

    def _map(self, holder: dict[str, Any]) -> dict[str, Any]:
        sent = [value for key, value in holder.items() if same_key(key, self.stamp.key)]
        if self._stays(sent):
            return holder
        others = {key: value for key, value in holder.items() if not same_key(key, self.stamp.key)}
        return {self.stamp.key: self._name(sent), **others}

    def _pairs(self, holder: list[Any]) -> list[Any]:
        pairs = [_object(pair, absent=False) for pair in holder]
        sent = [pair.get("value") for pair in pairs if self._is_key(pair)]
        if self._stays(sent):
            return holder
        others = [pair for pair in pairs if not self._is_key(pair)]
        return [{"key": self.stamp.key, "value": self._name(sent)}, *others]

    def _pair(self, holder: dict[str, Any]) -> dict[str, Any]:
        if not self._is_key(holder) or self._stays([holder.get("value")]):
            return holder
        return {**holder, "value": self._name([holder.get("value")])}

    def _stays(self, sent: list[Any]) -> bool:
        return self.author.keeps(self.stamp) if any(sent) else self.stamp.when_sent and not sent

    def _is_key(self, pair: dict[str, Any]) -> bool:
        return same_key(_key_of(pair), self.stamp.key)

    def _name(self, sent: list[Any]) -> str:
        only = sent[0] if len(sent) == 1 and isinstance(sent[0], str) else ""
        return self.author.name(self.stamp, sent=only)


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
        and changed is not holder.get(spelling)
    }
    if not edited:
        return holder  # in the order of its sender
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


def _key_of(pair: dict[str, Any]) -> str:
    key = pair.get("key", "")
    if not isinstance(key, str):
        raise _not_understood()
    return key


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
