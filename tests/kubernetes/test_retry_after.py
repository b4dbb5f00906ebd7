"""When the API server wants to be asked again."""

from __future__ import annotations

import pytest

from workspace_authz.kubernetes.answer_times import retry_after

DATE = "Sat, 01 Mar 2031 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 400}, float("inf")),
        ({"Retry-After": "Sat, 01 Mar 2031 12:00:07 GMT", "Date": DATE}, 7.0),
        ({"Retry-After": "Sat, 01 Mar 2031 11:59:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Sat, 01 Mar 2031 12:00:07 GMT"}, None),
        ({"Retry-After": "Sat, 01 Mar 2031 12:00:07 GMT", "Date": "yesterday"}, None),
        ({"Retry-After": "Sat, 01 Mar 2031 12:00:07", "Date": DATE}, None),
    ],
)
def test_both_forms_are_understood_and_nothing_else(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers.get("Retry-After"), headers.get("Date")) == seconds
