"""A page of metrics, read with ``prometheus_client``'s own parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Samples by name and labels."""

    text: str
    samples: Mapping[tuple[str, Labels], float] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Page:
        """Raises ``ValueError`` when it is no exposition."""
        samples = {
            (sample.name, frozenset(sample.labels.items())): float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return cls(text, samples)

    @property
    def names(self) -> frozenset[str]:
        """Of all samples."""
        return frozenset(name for name, _ in self.samples)

    def labels(self, name: str) -> frozenset[str]:
        """The names of the labels that samples of ``name`` have."""
        return frozenset(label for sample, has in self.samples if sample == name for label, _ in has)

    def since(self, before: Page) -> Page:
        """What has been added."""
        risen = {key: value - before.samples.get(key, 0.0) for key, value in self.samples.items()}
        return Page(self.text, risen)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of ``name`` that have ``labels``."""
        wanted = labels.items()
        return sum(value for (sample, has), value in self.samples.items() if sample == name and wanted <= has)
