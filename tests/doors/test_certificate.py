"""New files of a serving certificate: taken up when they fit each other, and never half."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest
import uvicorn

from tests.harness.fakes import ManualClock
from workspace_authz.aio.asgi import Message
from workspace_authz.devplane.pki import Pki, create_pki
from workspace_authz.doors.certificate import CertificateReloader, ServedCertificate, uvicorn_certificate


class Clock(ManualClock):
    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("one check does not sleep")


@pytest.fixture(scope="module")
def pkis(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pki, Pki]:
    return create_pki(tmp_path_factory.mktemp("old")), create_pki(tmp_path_factory.mktemp("new"))


class Server:
    """A context in use, its files, and what was said of loads."""

    def __init__(self, directory: Path, pki: Pki) -> None:
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        self.put(certificate=pki, key=pki)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        self.context = context
        self.loads: list[bool] = []
        self.reloader = CertificateReloader(
            ServedCertificate(context, str(self.certificate), str(self.key)),
            on_load=self.loads.append,
            clock=Clock(),
        )

    def put(self, *, certificate: Pki | None = None, key: Pki | None = None) -> None:
        if certificate is not None:
            shutil.copy(certificate.serving_cert, self.certificate)
        if key is not None:
            shutil.copy(key.serving_key, self.key)

    def shown(self) -> bytes:
        """What a client sees, by a handshake in memory."""
        asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = asking.wrap_bio(back, there)
        server = self.context.wrap_bio(there, back, server_side=True)
        for _ in range(3):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True) or b"").encode()


@pytest.fixture
def server(tmp_path: Path, pkis: tuple[Pki, Pki]) -> Server:
    return Server(tmp_path, pkis[0])


async def test_a_new_pair_is_taken_up_once(server: Server, pkis: tuple[Pki, Pki]) -> None:
    await server.reloader.check()
    assert server.loads == []
    server.put(certificate=pkis[1], key=pkis[1])
    await server.reloader.check()
    await server.reloader.check()
    assert server.loads == [True]
    assert server.shown() == pkis[1].serving_cert.read_bytes()


async def test_half_a_pair_leaves_the_old_one_in_use(
    server: Server, pkis: tuple[Pki, Pki], caplog: pytest.LogCaptureFixture
) -> None:
    server.put(certificate=pkis[1])
    for _ in range(3):
        await server.reloader.check()
    assert server.loads == [False]
    assert server.shown() == pkis[0].serving_cert.read_bytes()
    server.put(key=pkis[1])
    await server.reloader.check()
    assert server.loads == [False, True]
    assert server.shown() == pkis[1].serving_cert.read_bytes()
    assert [line.levelname for line in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.messages[-1] == "a new serving certificate is in use"


async def test_missing_and_broken_files_leave_the_old_one_in_use(
    server: Server, pkis: tuple[Pki, Pki]
) -> None:
    server.key.unlink()
    await server.reloader.check()
    assert server.loads == []
    server.key.write_text("no key")
    await server.reloader.check()
    assert server.loads == [False]
    assert server.shown() == pkis[0].serving_cert.read_bytes()


class Lifespan:
    """As uvicorn's, which hands its own methods to the app."""

    def __init__(self, config: object) -> None:
        self.config = config

    async def receive(self) -> Message:
        return {"type": "lifespan.startup"}


def test_uvicorns_files_are_found_and_no_others(tmp_path: Path, pkis: tuple[Pki, Pki]) -> None:
    def config(**tls: str) -> uvicorn.Config:
        loaded = uvicorn.Config(lambda: None, log_config=None, **tls)  # type: ignore[arg-type]  # str only
        loaded.load()
        return loaded

    cert, key = str(pkis[0].serving_cert), str(pkis[0].serving_key)
    by_tls = config(ssl_certfile=cert, ssl_keyfile=key)
    assert isinstance(by_tls.ssl, ssl.SSLContext)
    assert uvicorn_certificate(Lifespan(by_tls).receive) == ServedCertificate(by_tls.ssl, cert, key)
    assert uvicorn_certificate(Lifespan(config()).receive) is None
    assert uvicorn_certificate(Lifespan("another server").receive) is None
