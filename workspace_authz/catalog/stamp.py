"""Identity stamps: the fields of a request in which MLflow records a person. Data only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """How the request stores the person."""

    FIELD = "field"
    """A field of an object, spelled ``created_by`` or ``createdBy``: protobuf accepts both."""
    MAP = "map"
    """An entry of a map, as in tags: ``{"mlflow.user": …}``."""
    PAIRS = "pairs"
    """An element of a list of ``{"key": …, "value": …}``."""
    PAIR = "pair"
    """The object itself is ``{"key": …, "value": …}``: the request sets one tag."""
    SPANS = "spans"
    """An attribute of spans in OTLP, as protobuf or JSON, maybe compressed. The key is a tag of the trace."""
    LEFT_OUT = "left out"
    """A field that is removed so that MLflow chooses the value: the id of a new object."""
    RESERVED = "reserved"
    """Entries of a map, or of a list of ``{"key": …, "value": …}``, that only the server writes: those whose
    key begins so are removed."""
    SOURCE = "source"
    """The human source of an assessment. Where it is kept as sent, the entry ``key`` of the assessment's
    metadata names the caller. Clients cannot set that entry."""


class Person(StrEnum):
    """The person to record."""

    AUTHOR = "author"
    """The caller's username in Kubernetes."""
    END_USER = "end user"
    """The end user of an application: what was sent is kept. With the setting ``end_users=caller`` it is the
    caller."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Writes the caller to one place in the request and replaces what the client sent there."""

    shape: Shape
    key: str
    place: str = ""
    """Dotted path of the object that holds the key. ``[]`` after a segment means every element of a list,
    ``@json`` means a text that holds JSON. Empty: the body itself. Both of protobuf's spellings match."""
    person: Person = Person.AUTHOR
    when_sent: bool = False
    """Replace a value only if one was sent. Otherwise a missing value is added too."""

    @property
    def names_caller(self) -> bool:
        """Whether it writes a person. The others keep out what only the server may write."""
        return self.shape not in (Shape.LEFT_OUT, Shape.RESERVED)

    def __str__(self) -> str:
        below = f"{self.place}." if self.place else ""
        match self.shape:
            case Shape.FIELD:
                text = f"{below}{self.key}"
            case Shape.LEFT_OUT:
                return f"no {below}{self.key}"
            case Shape.RESERVED:
                return f"no {self.place}[{self.key}*]"
            case Shape.SOURCE:
                text = f"{below}source of people"
            case Shape.PAIR:
                text = f"value if key is {self.key}"
            case Shape.SPANS:
                text = f"spans[{self.key}]"
            case _:
                text = f"{self.place}[{self.key}]"
        person = "" if self.person is Person.AUTHOR else f"={self.person}"
        condition = " if sent" if self.when_sent and self.shape is not Shape.PAIR else ""
        return f"{text}{person}{condition}"
