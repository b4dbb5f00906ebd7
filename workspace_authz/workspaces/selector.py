"""Kubernetes label selectors, matched here as the API server matches them.

The grammar is that of ``k8s.io/apimachinery/pkg/labels`` (``labels.Parse``): equality (``a=b``, ``a==b``,
``a!=b``), sets (``a in (b,c)``, ``a notin (b)``), existence (``a``, ``!a``) and integers (``a>1``, ``a<1``),
joined by commas that mean *and*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_TOKEN: Final = re.compile(r"==|!=|[=!<>(),]|[^\s=!<>(),]+")
_SYMBOLS: Final = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_INTEGER: Final = re.compile(r"[0-9]+")
_END: Final = ""


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER = ">"
    LESS = "<"


_EQUALITY: Final = {"=": Operator.IN, "==": Operator.IN, "!=": Operator.NOT_IN}


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One term of a selector."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether ``labels`` satisfy this term. An absent label satisfies ``!=`` and ``notin``."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
        if value is None or not _is_int64(value):
            return False
        (bound,) = self.values
        return int(value) > int(bound) if self.operator is Operator.GREATER else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of its requirements must match; none match everything."""

    requirements: tuple[LabelRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with ``labels`` is selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> LabelSelector:
    """Parse Kubernetes' selector syntax. Raises :class:`ValueError` with what is wrong."""
    tokens = _Tokens(text)
    if tokens.peek() == _END:
        return LabelSelector()
    requirements = [_requirement(tokens)]
    while tokens.take() == ",":
        requirements.append(_requirement(tokens))
    if tokens.taken != _END:
        raise ValueError(f"{tokens.taken!r} where a comma or the end was expected")
    return LabelSelector(tuple(requirements))


class _Tokens:
    """The tokens of one selector, with a look at the next one."""

    def __init__(self, text: str) -> None:
        self._tokens: Iterator[str] = (match.group() for match in _TOKEN.finditer(text))
        self._next = next(self._tokens, _END)
        self.taken = _END

    def peek(self) -> str:
        return self._next

    def take(self) -> str:
        self.taken, self._next = self._next, next(self._tokens, _END)
        return self.taken


def _requirement(tokens: _Tokens) -> LabelRequirement:
    if tokens.peek() == "!":
        tokens.take()
        return LabelRequirement(_key(tokens.take()), Operator.DOES_NOT_EXIST)
    key = _key(tokens.take())
    if tokens.peek() in (_END, ","):
        return LabelRequirement(key, Operator.EXISTS)
    operator = tokens.take()
    if operator in _EQUALITY:
        return LabelRequirement(key, _EQUALITY[operator], frozenset({_value(tokens)}))
    if operator in ("in", "notin"):
        return LabelRequirement(key, Operator(operator), _values(tokens))
    if operator in (">", "<"):
        bound = _value(tokens)
        if not _is_int64(bound):
            raise ValueError(f"{bound!r} after {operator} is not an integer")
        return LabelRequirement(key, Operator(operator), frozenset({bound}))
    raise ValueError(f"{operator!r} is not an operator")


def _values(tokens: _Tokens) -> frozenset[str]:
    if tokens.take() != "(":
        raise ValueError("a set of values begins with (")
    values = {_value(tokens)}
    while tokens.take() == ",":
        values.add(_value(tokens))
    if tokens.taken != ")":
        raise ValueError("a set of values ends with )")
    return frozenset(values)


def _key(token: str) -> str:
    prefix, slash, name = token.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        raise ValueError(f"{token!r} is not a label key")
    return token


def _value(tokens: _Tokens) -> str:
    """A label value; nothing before a comma, a bracket or the end is the empty value, even in ``()``."""
    if tokens.peek() in (_END, ",", ")"):
        return ""
    value = tokens.take()
    if value in _SYMBOLS or not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a label value")
    return value


def _is_int64(value: str) -> bool:
    return bool(_INTEGER.fullmatch(value)) and int(value) < 2**63
