"""The error tree: one tested shape, and the codes of MLflow."""

from __future__ import annotations

import inspect

import pytest
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS

from workspace_authz import errors
from workspace_authz.errors import (
    HeadersTooLargeError,
    RequestError,
    SlowClientError,
    UnauthenticatedError,
    UnavailableError,
)

REFUSALS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, RequestError) and error is not RequestError
]


@pytest.mark.parametrize("error", REFUSALS)
def test_every_refusal_has_the_status_that_mlflow_gives_its_code(error: type[RequestError]) -> None:
    # MLflow has no code for HTTP 431, and none for 408; its clients try both statuses of that one again.
    others = {SlowClientError: 504, HeadersTooLargeError: 400}
    expected = others.get(error, error.status)
    assert ERROR_CODE_TO_HTTP_STATUS[error.code] == expected


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = (errors.__doc__ or "").split()
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.AuthzError):
            assert name in drawn


def test_a_401_offers_both_schemes_and_basic_apart_from_bearer() -> None:
    challenges = [value for name, value in UnauthenticatedError("no").headers if name == "www-authenticate"]
    assert challenges == [
        'Bearer realm="kubernetes"',
        'Basic realm="Kubernetes token as password", charset="UTF-8"',
    ]


def test_a_503_says_when_to_try_again() -> None:
    assert dict(UnavailableError("no").headers) == {"retry-after": "1"}
