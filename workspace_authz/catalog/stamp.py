"""A place in a request where MLflow records a person, as a value of the catalog: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """How a request holds the person."""

    FIELD = "field"
    """An object's field; as ``created_by`` and as ``createdBy``, for protobuf takes both."""
    MAP = "map"
    """An object whose keys are the sender's: tags as ``{"mlflow.user": …}``."""
    PAIRS = "pairs"
    """A list of ``{"key": …, "value": …}``."""
    PAIR = "pair"
    """An object that is itself ``{"key": …, "value": …}``: one tag is set."""
    SPANS = "spans"
    """OTLP: protobuf or JSON, maybe compressed. The key is one of a trace's tags."""
    LEFT_OUT = "left out"
    """An object's field that is taken out, so that MLflow chooses: the id of something new."""


class Person(StrEnum):
    """Who is recorded."""

    AUTHOR = "author"
    """The caller, by the name that Kubernetes has for them."""
    AUTHOR_UID = "author's uid"
    """The caller, by the uid that Kubernetes has for them, or by name if it has none."""
    END_USER = "end user"
    """Whom an application served: kept as sent by a service account, for applications run as these.
    Everybody else is an author of their own traces only."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The caller is written at one place, whatever the request had there."""

    shape: Shape
    key: str
    place: str = ""
    """Dotted path of what holds the key; ``[]`` after a segment means every element of a list, ``@json`` a
    text that holds JSON. Empty: the body itself. Each segment in both of protobuf's spellings."""
    person: Person = Person.AUTHOR
    when_sent: bool = False
    """Only a value that was sent is replaced; otherwise a missing one is added, too."""
    unless_machine: bool = False
    """Not beside a ``source_type`` that says that a judge or code speaks, of which the key is the name."""

    def __str__(self) -> str:
        below = f"{self.place}." if self.place else ""
        match self.shape:
            case Shape.FIELD:
                text = f"{below}{self.key}"
            case Shape.LEFT_OUT:
                return f"no {below}{self.key}"
            case Shape.PAIR:
                text = f"value if key is {self.key}"
            case Shape.SPANS:
                text = f"spans[{self.key}]"
            case _:
                text = f"{self.place}[{self.key}]"
        person = "" if self.person is Person.AUTHOR else f"={self.person}"
        condition = " if sent" if self.when_sent and self.shape is not Shape.PAIR else ""
        whose = " of people" if self.unless_machine else ""
        return f"{text}{person}{whose}{condition}"
