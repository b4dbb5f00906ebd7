"""Plays an API server that serves MLflowConfigs and Secrets, in the test's hands, and no namespaces."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from tests.kubernetes.informer_server import FastClock, Watch, until
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.own_credential import FileCredential
from workspace_authz.workspaces.artifact_roots import CONFIG_NAME, SECRET_NAME, ArtifactBuckets
from workspace_authz.workspaces.directory import PATH as NAMESPACES_PATH
from workspace_authz.workspaces.root_watcher import CONFIGS_PATH, SECRETS_PATH, ArtifactRoots

BUCKETS = ArtifactBuckets((("data", "*"),))


class TwoKinds:
    """Most of it comes by the kinds' watches. ``denied``: paths answered 403."""

    def __init__(self) -> None:
        self.watches: dict[str, Watch] = {}
        self.denied: set[str] = set()
        self.listed: dict[str, list[dict[str, Any]]] = {}
        """What the lists of a path hold."""
        self.port = 0
        self._version = 1

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        for path in (CONFIGS_PATH, SECRETS_PATH, NAMESPACES_PATH):
            app.router.add_get(path, self._collection)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    def config(self, namespace: str, **spec: str) -> None:
        """An ``MLflowConfig`` appears or changes."""
        self._send(CONFIGS_PATH, namespace, CONFIG_NAME, spec={"artifactRootSecret": SECRET_NAME, **spec})

    def secret(self, namespace: str, bucket: str) -> None:
        """A Secret appears or changes."""
        data = {"AWS_S3_BUCKET": base64.b64encode(bucket.encode()).decode()}
        self._send(SECRETS_PATH, namespace, SECRET_NAME, data=data)

    def _send(self, path: str, namespace: str, name: str, **fields: Any) -> None:
        self._version += 1
        metadata = {"namespace": namespace, "name": name, "resourceVersion": str(self._version)}
        self.watches[path].send("MODIFIED", {"metadata": metadata, **fields})

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if request.path in self.denied:
            return web.json_response({}, status=403)
        if "watch" in request.query and request.path == NAMESPACES_PATH:
            return await Watch(dict(request.query)).serve(request)
        if "watch" in request.query:
            self.watches[request.path] = Watch(dict(request.query))
            return await self.watches[request.path].serve(request)
        return web.json_response(
            {"metadata": {"resourceVersion": "1"}, "items": self.listed.get(request.path, [])}
        )


@asynccontextmanager
async def following(kinds: TwoKinds, clock: FastClock) -> AsyncIterator[ArtifactRoots]:
    """The roots of an API server that is followed."""
    async with kinds.serving():
        host = f"http://127.0.0.1:{kinds.port}"
        connection = server_connection(ApiConfiguration(host, credential=FileCredential("its-own")))
        roots = ArtifactRoots(connection, BUCKETS, clock=clock)
        task = asyncio.create_task(roots.run())
        try:
            if not kinds.denied:
                await until(lambda: len(kinds.watches) == 2)
            yield roots
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await connection.close()
