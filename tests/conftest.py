"""What holds for all tests: which of them must run in one process."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Keep a file's tests together, unless they name a group of their own.

    For pytest-xdist's ``--dist loadgroup``: a heavy fixture is built once, by the one process that needs it.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
