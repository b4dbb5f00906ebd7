"""What a request may not contain: the corners that MLflow's server need not show."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Authenticated, Restriction, Route
from workspace_authz.doors.explain import GivenBody
from workspace_authz.effects.json_stamps import same_key
from workspace_authz.errors import BadRequestError, ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.reading.artifact_paths import canonical, check_file_name, experiment_in
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, ReplayedBody
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.restrictions.trace_locations import RESERVED, SPANS_BYTES, check_document

KEY = "mlflow.artifactLocation"


async def check(
    *restrictions: Restriction,
    body: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
    root: str | None = None,
) -> None:
    route = Route("POST", "/x", "X", Authenticated("A test."), restrictions=restrictions)
    request = AccessRequest("POST", "/x", headers=tuple((headers or {}).items()), body=GivenBody(body))
    await Restrictions(root).check(Match(route), request, workspace="team-a")


@pytest.mark.parametrize(
    "path",
    [
        "12",
        "12/",
        "12/a/b.txt",
        "12/%C3%A4",
        "12/100%",
        "12/a b",
        "12/a:b",
        "workspaces/team-a/12/x",
        "12/..x",
    ],
)
def test_an_artifact_path_names_its_experiment(path: str) -> None:
    assert experiment_in(path, workspace="team-a") == "12"


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", ".", "..", "12/..", "12/.", "./12", "/12", "//12", "12//x", "12//", "\\12", "12\\x"),
        *("12/%2e%2e/13", "12%2f..%2f13", "12/%252e%252e/13", "12/%00", "12/\x7f", "12/x#y", "12/.\t./x"),
        *("12/.;", "12/..;", "12/..?", "http://[12", "12/%" + "25" * 12 + "41"),
    ],
)
def test_a_path_that_must_be_resolved_is_refused(path: str) -> None:
    with pytest.raises(BadRequestError):
        canonical(path)


@pytest.mark.parametrize(
    "path",
    [
        *("x", "12a", "-1", "1.0", "¹", "١٢", "workspaces", "workspaces/team-b/12", "workspaces/team-a"),
        *(
            "workspaces/team-a/x",
            "workspaces/team-a/workspaces/team-b/12",
            "Workspaces/team-b/12",
            "team-b/12",
        ),
        *("9" * 20, "mlflow-artifacts:12"),
    ],
)
@pytest.mark.parametrize("workspace", ["team-a", "default", None])
def test_a_path_outside_of_the_workspaces_experiments_is_refused(path: str, workspace: str | None) -> None:
    with pytest.raises(ForbiddenError):
        experiment_in(path, workspace=workspace)


@pytest.mark.parametrize("path", ["/home/me/x.bin", "x", "C:\\x.bin", "a b", "..x"])
def test_an_upload_is_named_after_a_file(path: str) -> None:
    check_file_name(path)


@pytest.mark.parametrize("path", [None, 1, "", "x/", "..", "/home/..", ".", "x\n"])
def test_an_upload_without_a_name_is_refused(path: object) -> None:
    with pytest.raises(BadRequestError):
        check_file_name(path)


async def test_the_reserved_tags_are_found_at_any_depth() -> None:
    for document in (
        {KEY: 1},
        {"a": [{"b": KEY}]},
        {"a": {"b": {KEY.upper(): ""}}},
        json.dumps({"key": KEY}),
    ):
        with pytest.raises(ForbiddenError):
            await check(Restriction.NO_TRACE_LOCATION, body=json.dumps(document).encode())
    await check(Restriction.NO_TRACE_LOCATION, body=json.dumps({"text": f"about {KEY}"}).encode())
    await check(Restriction.NO_TRACE_LOCATION)


@pytest.mark.parametrize(
    "body", [b"[]", b'"x"', b"1", b"null", b'{"a": 1, "a": 2}', b"{", b"\xff", b'"\\"{}\\""']
)
async def test_a_body_that_is_no_plain_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        await check(Restriction.NO_TRACE_LOCATION, body=body)


async def test_a_body_is_read_up_to_its_bound_and_spans_up_to_theirs() -> None:
    route = Route("POST", "/x", "X", Authenticated("A test."), restrictions=(Restriction.NO_TRACE_LOCATION,))

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"key": "x"}' + b" " * 100, "more_body": False}

    def request() -> AccessRequest:
        return AccessRequest("POST", "/x", body=ReplayedBody(receive, limit=100))

    with pytest.raises(BadRequestError):
        await Restrictions().check(Match(route), request(), workspace=None)
    spans = Route(
        "POST", "/x", "X", Authenticated("A test."), restrictions=(Restriction.NO_SPAN_TRACE_LOCATION,)
    )
    await Restrictions().check(Match(spans), request(), workspace=None)


def _packed(name: bytes, size: int) -> bytes:
    content = b"\0" * size
    if name == b"gzip":
        return gzip.compress(content)
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS if name == b"deflate" else -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_spans_that_unpack_beyond_the_bound_are_refused(encoding: bytes) -> None:
    headers = {b"content-encoding": encoding}
    await check(Restriction.NO_SPAN_TRACE_LOCATION, body=_packed(encoding, SPANS_BYTES), headers=headers)
    with pytest.raises(BadRequestError):
        await check(
            Restriction.NO_SPAN_TRACE_LOCATION, body=_packed(encoding, SPANS_BYTES + 1), headers=headers
        )


@pytest.mark.parametrize(
    "attribute",
    [
        f"mlflow.traceTag.{KEY}",
        f"MLFLOW.TRACETAG. {KEY.lower()}",
        f"mlflow.traceTag.{KEY}x",
        f"mlflow.traceTag.{KEY.replace('a', 'á')}",
        f"mlflow.traceTag.{KEY.replace('L', 'Ｌ')}",
        f"mlflow.traceTag.\u200b{KEY}",
    ],
)
async def test_the_attributes_bytes_are_looked_for(attribute: str) -> None:
    with pytest.raises(ForbiddenError):
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=b"\x0a\xc3" + attribute.encode() + b"\x12\xff")


@given(
    key=st.sampled_from(RESERVED).flatmap(
        lambda key: st.sampled_from(
            (
                key,
                f" {key}",
                f"{key}\n",
                key.swapcase(),
                key.replace("o", "ö"),
                f"{key}\u0301",
                f"x{key}",
                key[1:],
            )
        )
    )
)
def test_keys_are_alike_for_the_caller_and_for_places(key: str) -> None:
    refused = False
    try:
        check_document({key: ""})
    except ForbiddenError:
        refused = True
    assert refused is any(same_key(key, reserved) for reserved in RESERVED)


async def test_several_restrictions_all_hold() -> None:
    both = (Restriction.NO_TRACE_LOCATION, Restriction.NO_GLOBAL_BUDGET)
    with pytest.raises(RequestError, match="all workspaces"):
        await check(*both, body=b'{"target_scope": "GLOBAL"}')
    with pytest.raises(RequestError, match="MLflow itself"):
        await check(*both, body=b'{"target_scope": "WORKSPACE", "x": "mlflow.artifactLocation"}')


async def test_a_source_below_the_servers_artifact_root_is_known_by_it() -> None:
    body = b'{"source": "s3://bucket/root/workspaces/team-a/1/model"}'
    await check(Restriction.OWN_SOURCE, body=body, root="s3://bucket/root")
    with pytest.raises(ForbiddenError):
        await check(Restriction.OWN_SOURCE, body=body, root="s3://bucket")
    await check(Restriction.OWN_SOURCE, body=b"{}")
