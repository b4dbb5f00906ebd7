"""Writers who never stop, and what became of everything that they were told is stored."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final

from tests.harness.http import Answer, Http, bearer
from tests.harness.server import WORKSPACE
from tests.scenarios.waiting import until

DEADLINE_SECONDS: Final = 60.0
"""Of every request: what takes longer hangs."""
_SEARCH: Final = "/api/2.0/mlflow/runs/search"
_PAUSE_SECONDS: Final = 0.1


@dataclass(slots=True)
class Load:
    """Runs and files that several writers make in one experiment through one address."""

    url: str
    token: str = field(repr=False)
    workspace: str
    experiment: str
    stored: dict[str, str] = field(default_factory=dict)
    """Of each write that was answered with 200: its name, and the run's artifact folder."""
    failures: Counter[str] = field(default_factory=Counter)
    """How the others ended: status and error code."""
    hung: list[str] = field(default_factory=list)
    """Those that did not end in time."""
    _over: threading.Event = field(default_factory=threading.Event, repr=False)

    def write(self, writer: int) -> None:
        """Write until it is over. Nothing is sent twice."""
        number = 0
        with closing(Http(self.url, timeout=DEADLINE_SECONDS)) as http:
            while not self._over.is_set():
                number += 1
                self._write(http, f"{writer}-{number}")
                time.sleep(_PAUSE_SECONDS)

    def _write(self, http: Http, name: str) -> None:
        document = {"experiment_id": self.experiment, "tags": [{"key": "write", "value": name}]}
        answer = self._send(http, "POST", "/api/2.0/mlflow/runs/create", document)
        if answer is not None and answer.status == 200:
            self.stored[name] = str(answer.json["run"]["info"]["artifact_uri"])

    def _send(self, http: Http, method: str, path: str, document: object) -> Answer | None:
        http.close()  # a connection of its own, so that nothing is sent again behind our back
        headers = {**bearer(self.token), WORKSPACE: self.workspace, "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            answer = http.request(method, path, headers=headers, body=json.dumps(document).encode())
        except TimeoutError:
            self.hung.append(path)
            return None
        except (OSError, HTTPException) as error:
            self.failures[type(error).__name__] += 1
            return None
        if time.monotonic() - began > DEADLINE_SECONDS:
            self.hung.append(path)
        if answer.status != 200:
            self.failures[_kind(answer)] += 1
        return answer

    def goes_on(self) -> None:
        """Return once five further writes have been stored."""
        before = len(self.stored)
        until(lambda: len(self.stored) >= before + 5)

    def over(self) -> None:
        """No further writes."""
        self._over.set()

    def found(self) -> Counter[str]:
        """How often the server has each write."""
        found: Counter[str] = Counter()
        token: str | None = None
        with closing(Http(self.url, timeout=DEADLINE_SECONDS)) as http:
            while token != "":
                document = {"experiment_ids": [self.experiment], "max_results": 1000}
                answer = self._send(
                    http, "POST", _SEARCH, {**document, "page_token": token} if token else document
                )
                assert answer is not None
                assert answer.status == 200, answer.text
                for run in answer.json.get("runs", ()):
                    found.update(each["value"] for each in run["data"]["tags"] if each["key"] == "write")
                token = answer.json.get("next_page_token", "")
        return found


def _kind(answer: Answer) -> str:
    """The status, and MLflow's error code, if it is MLflow's or our answer and not nginx's."""
    with suppress(ValueError):
        return f"{answer.status} {answer.json['error_code']}"
    return str(answer.status)


@contextmanager
def under_load(url: str, *, token: str, workspace: str, experiment: str, writers: int = 2) -> Iterator[Load]:
    """Writers for as long as the block lasts."""
    load = Load(url, token, workspace, experiment)
    threads = [threading.Thread(target=load.write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        load.goes_on()
        yield load
    finally:
        load.over()
        for thread in threads:
            thread.join()


def then_nothing_is_lost(load: Load, *, failures: Sequence[str]) -> None:
    """All that was acknowledged is there, nothing twice; the rest failed in one of these ways, in time."""
    found = load.found()
    assert set(load.stored) <= set(found)
    assert {name: count for name, count in found.items() if count > 1} == {}
    assert load.hung == []
    assert set(load.failures) <= set(failures), load.failures
