"""Waiting for what a cluster does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from tests.manifests.kube import Kubectl

Object = dict[str, Any]
T = TypeVar("T")
_SECONDS = 420.0
_POLL_SECONDS = 0.5


def until(look: Callable[[], T | None], what: str, *, kubectl: Kubectl) -> T:
    """What ``look`` finds in the end. Raises ``AssertionError`` with the state of all pods otherwise."""
    deadline = time.monotonic() + _SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"{what} never came:\n{_told(kubectl)}"
        time.sleep(_POLL_SECONDS)
    return found


def _told(kubectl: Kubectl) -> str:
    pods = kubectl.run("get", "pods", "-A", "-o", "wide")
    events = kubectl.run("get", "events", "-A", "--sort-by=.lastTimestamp")
    return f"{pods}\n{events[-6000:]}"


def phase(kubectl: Kubectl, namespace: str, pod: str, *, wanted: str) -> Object:
    """The pod, once it is in this phase. A pod that ends otherwise fails the test with its log."""

    def look() -> Object | None:
        found = kubectl.json("-n", namespace, "get", "pod", pod)
        now = found["status"]["phase"]
        if now == "Failed" and wanted != "Failed":
            raise AssertionError(f"{pod} failed:\n{logs(kubectl, namespace, pod)}")
        return found if now == wanted else None

    return until(look, f"{wanted} of {pod}", kubectl=kubectl)


def logs(kubectl: Kubectl, namespace: str, pod: str) -> str:
    """What all its containers wrote."""
    return kubectl.run("-n", namespace, "logs", pod, "--all-containers", "--prefix", "--tail=-1")


def waiting(pod: Object) -> Iterator[tuple[str, str]]:
    """Why containers of the pod do not run: the reason, and the message beside it."""
    status: Mapping[str, Any] = pod["status"]
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            why = container["state"].get("waiting")
            if why is not None:
                yield why["reason"], why.get("message", "")
