"""What a cluster has and this one has not: a scheduler, kube-proxy and DNS, each as small as it can be.

- Every pod is bound to the only node, whatever it asks for.
- Each Service's address is one of the node's own; connections to it are passed on to the pods that are ready,
  in turn. They see the node's address as their caller's. TCP only.
- ``<service>.<namespace>.svc.cluster.local`` is answered; no other name exists.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, cast

from tests.cluster import parts
from tests.harness.http import Http, bearer

Object = dict[str, Any]
Address = tuple[str, int]
_EVERY_SECONDS: Final = 0.3
_CHUNK: Final = 64 * 1024
_A, _NAME_ERROR = 1, 3


@dataclass(slots=True)
class Api:
    """The API server, asked as its administrator."""

    url: str
    ca_file: Path
    token: str = field(repr=False)
    _http: Http = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = Http(self.url, tls=ssl.create_default_context(cafile=self.ca_file))

    def is_ready(self) -> bool:
        """Whether it is up with its bootstrap roles."""
        with suppress(OSError, HTTPException):
            return self._http.request("GET", "/readyz", headers=bearer(self.token)).status == 200
        return False

    def items(self, path: str) -> Sequence[Object]:
        """The objects of a list; none while the server does not answer."""
        with suppress(OSError, HTTPException):
            answer = self._http.request("GET", path, headers=bearer(self.token))
            return list(answer.json.get("items") or ()) if answer.status == 200 else ()
        return ()

    def node_is_ready(self, name: str) -> bool:
        """Whether the kubelet says so."""
        conditions = (
            condition
            for node in self.items("/api/v1/nodes")
            if node["metadata"]["name"] == name
            for condition in node["status"].get("conditions", ())
        )
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def bind(self, pod: Object, node: str) -> None:
        """What a scheduler does in the end. A pod that is gone meanwhile is nobody's concern."""
        meta = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"]},
            "target": target,
        }
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding"
        with suppress(OSError, HTTPException):
            self._http.request(
                "POST",
                path,
                headers={**bearer(self.token), "Content-Type": "application/json"},
                body=json.dumps(binding).encode(),
            )


@dataclass(slots=True)
class Services:
    """Where connections and names lead, as of the last look."""

    pods: dict[Address, list[Address]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def update(self, services: Sequence[Object], slices: Sequence[Object]) -> None:
        """Take over what the API server says."""
        known = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in services}
        self.names = {
            f"{name}.{namespace}.svc.{parts.DOMAIN}": each["spec"]["clusterIP"]
            for (namespace, name), each in known.items()
            if each["spec"].get("clusterIP", "None") != "None"
        }
        self.pods = {}
        for (namespace, name), each in known.items():
            for port in each["spec"].get("ports", ()):
                own = [piece for piece in slices if _belongs(piece, namespace, name)]
                self.pods[each["spec"].get("clusterIP", "None"), port["port"]] = list(_ready(own, port))
        self.pods = {address: pods for address, pods in self.pods.items() if address[0] != "None"}

    def next_pod(self, address: Address) -> Address | None:
        """The pod whose turn it is."""
        pods = self.pods.get(address)
        return pods[next(self._turn) % len(pods)] if pods else None


def _belongs(piece: Object, namespace: str, service: str) -> bool:
    labels: Mapping[str, str] = piece["metadata"].get("labels", {})
    return piece["metadata"]["namespace"] == namespace and labels.get("kubernetes.io/service-name") == service


def _ready(slices: Sequence[Object], port: Object) -> Iterator[Address]:
    for piece in slices:
        numbers = [
            each["port"] for each in piece.get("ports") or () if each.get("name") == port.get("name", "")
        ]
        for endpoint in piece.get("endpoints") or ():
            if numbers and endpoint.get("conditions", {}).get("ready", True):
                yield endpoint["addresses"][0], numbers[0]


def run(api: Api) -> None:
    """All three, for ever."""
    asyncio.run(_run(api))


async def _run(api: Api) -> None:
    services = Services()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Names(services), local_addr=(parts.NODE_ADDRESS, 53))
    listening: dict[Address, asyncio.Server] = {}
    while True:
        pods, found, slices = await asyncio.to_thread(_look, api)
        for pod in pods:
            if not pod["spec"].get("nodeName"):
                await asyncio.to_thread(api.bind, pod, parts.NODE)
        services.update(found, slices)
        for address in services.pods.keys() - listening.keys():
            listening[address] = await _listen(services, address)
        await asyncio.sleep(_EVERY_SECONDS)


def _look(api: Api) -> tuple[Sequence[Object], Sequence[Object], Sequence[Object]]:
    return (
        api.items("/api/v1/pods?fieldSelector=status.phase%3DPending"),
        api.items("/api/v1/services"),
        api.items("/apis/discovery.k8s.io/v1/endpointslices"),
    )


async def _listen(services: Services, address: Address) -> asyncio.Server:
    command = ("ip", "address", "replace", f"{address[0]}/32", "dev", parts.BRIDGE)
    await asyncio.to_thread(subprocess.run, command, check=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pass_on(services.next_pod(address), reader, writer)

    return await asyncio.start_server(serve, *address)


async def _pass_on(pod: Address | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both directions, until both have ended. Without a pod the connection is closed."""
    try:
        if pod is not None:
            with suppress(OSError):
                there, back = await asyncio.open_connection(*pod)
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
                back.close()
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@dataclass(slots=True)
class Names(asyncio.DatagramProtocol):
    """DNS: the address of a Service, or that there is no such name."""

    services: Services
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        assert self._transport is not None
        with suppress(IndexError, struct.error, UnicodeDecodeError):
            self._transport.sendto(answer(data, self.services.names), addr)


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """The answer to a query with one question."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode())
        at += 1 + size
    question = query[12 : at + 5]
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    address = names.get(".".join(labels).lower())
    records = []
    if address is not None and kind == _A:
        numbers = bytes(map(int, address.split(".")))
        records.append(struct.pack(">HHHIH", 0xC00C, _A, 1, 5, 4) + numbers)
    flags = 0x8580 if address is not None else 0x8580 | _NAME_ERROR
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)
