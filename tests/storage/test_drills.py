"""Under load something breaks: whatever was acknowledged is there, nothing is there twice, nothing hangs.

The client sends each write once. nginx sends a request that changes something to one server only, as it does
unless it is told otherwise.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.harness.bucket import S3
from tests.harness.http import Answer, Http, bearer
from tests.harness.postgres import Postgres
from tests.harness.server import WORKSPACE
from tests.scenarios.people import TEAM_A
from tests.scenarios.waiting import until
from tests.storage.load import DEADLINE_SECONDS, Load, then_nothing_is_lost, under_load
from tests.storage.stand import Stand

GATEWAY: Final = ("502", "504")
"""nginx's own answers: no server took the request, or it ended before it answered."""
AWAY: Final = ("503 TEMPORARILY_UNAVAILABLE",)
_NOTICED_SECONDS: Final = 180.0
"""A worker asks the bucket every 30 s."""


def experiment_of(stand: Stand, name: str) -> str:
    """A new experiment of team-a's."""
    answer = stand.ready[0].ask(
        "POST",
        "/api/2.0/mlflow/experiments/create",
        token=stand.cluster.people.alice.token,
        workspace=TEAM_A,
        json_body={"name": f"{name} {uuid.uuid4().hex}"},
    )
    assert answer.status == 200, answer.text
    return str(answer.json["experiment_id"])


@contextmanager
def loaded(stand: Stand, name: str) -> Iterator[Load]:
    """Alice writes into a new experiment, through nginx."""
    token = stand.cluster.people.alice.token
    with under_load(stand.url, token=token, workspace=TEAM_A, experiment=experiment_of(stand, name)) as load:
        yield load


def test_a_replica_is_killed(stand: Stand) -> None:
    replica = stand.replicas[0]
    with loaded(stand, "a replica is killed") as load:
        replica.stop(signal.SIGKILL)
        load.goes_on()
    then_nothing_is_lost(load, failures=GATEWAY)
    replica.start()
    replica.wait()


def test_postgresql_is_restarted(stand: Stand, own_postgres: Postgres) -> None:
    with loaded(stand, "the database is restarted") as load:
        with own_postgres.away():
            before = sum(load.failures.values())
            until(lambda: sum(load.failures.values()) >= before + 3)
        load.goes_on()
    then_nothing_is_lost(load, failures=(*GATEWAY, *AWAY))
    assert load.failures
    for server in stand.ready:
        until(lambda server=server: server.ask("GET", "/readyz").status == 200)  # type: ignore[misc]


@contextmanager
def hanging(s3: S3) -> Iterator[None]:
    """Connections are accepted, and nothing answers."""
    s3.process.signal_group(signal.SIGSTOP)
    try:
        yield
    finally:
        s3.process.signal_group(signal.SIGCONT)


@pytest.mark.parametrize(("away", "status"), [(hanging, 504), (S3.away, 503)], ids=["hangs", "refuses"])
def test_the_bucket_is_away(
    stand: Stand, away: Callable[[S3], AbstractContextManager[None]], status: int
) -> None:
    """Uploads end in time with an error, everybody else goes on; what was acknowledged is whole."""
    experiment = experiment_of(stand, f"the bucket is away: {status}")
    folder = f"/api/2.0/mlflow-artifacts/artifacts/workspaces/{TEAM_A}/{experiment}"
    assert _artifact(stand, "PUT", f"{folder}/before", b"before").status == 200
    with loaded(stand, f"the bucket is away: {status}: others") as load:
        with away(stand.s3):
            began = time.monotonic()
            during = _artifact(stand, "PUT", f"{folder}/during", b"during")
            assert time.monotonic() - began < DEADLINE_SECONDS
            assert during.status == status
            assert urlsplit(stand.s3.url).netloc not in during.text
            load.goes_on()
            until(partial(_tells_of_the_bucket, stand), seconds=_NOTICED_SECONDS)
        until(lambda: _artifact(stand, "PUT", f"{folder}/after", b"after").status == 200)
    then_nothing_is_lost(load, failures=())
    assert _artifact(stand, "GET", f"{folder}/before").body == b"before"
    assert _artifact(stand, "GET", f"{folder}/after").body == b"after"
    late = _artifact(stand, "GET", f"{folder}/during")
    assert late.body == b"during" or late.status >= 400, "all of it or nothing"


def _tells_of_the_bucket(stand: Stand) -> bool:
    """Whether a server says that it is away, and is ready for all that needs none."""
    answers = [server.ask("GET", "/readyz") for server in stand.ready]
    return any(
        answer.status == 200 and "The artifact store does not answer." in answer.json.get("notes", ())
        for answer in answers
    )


def _artifact(stand: Stand, method: str, path: str, body: bytes | None = None) -> Answer:
    headers = {**bearer(stand.cluster.people.alice.token), WORKSPACE: TEAM_A}
    with closing(Http(stand.url, timeout=DEADLINE_SECONDS)) as http:
        return http.request(method, path, headers=headers, body=body)
