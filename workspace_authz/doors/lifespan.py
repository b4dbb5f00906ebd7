"""What ASGI's lifespan channel reveals about the server that runs the app."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.proxy_headers import ADDRESSES_REPLACED


def uvicorn_config(receive: Receive) -> uvicorn.Config | None:
    """The configuration of the uvicorn server whose lifespan channel is ``receive``; None for another server.

    uvicorn 0.54 has no interface for this. But ``receive`` is a method of its ``LifespanOn``, which holds the
    public ``uvicorn.Config``.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    return config if isinstance(config, uvicorn.Config) else None


class OwnAddressesMiddleware:
    """Lets no server start that replaces the addresses of its peers, or of which that cannot be told.

    The parent of the workers says so first, unless they are started in another way.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            config = uvicorn_config(receive)
            if config is None or config.proxy_headers:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": ADDRESSES_REPLACED})
                return
        await self._app(scope, receive, send)


class BackgroundMiddleware:
    """Keeps something running for as long as the app runs, which has no lifespan of its own.

    A :class:`ConfigurationError` at its start stops the server.
    """

    def __init__(self, app: App, background: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self._app = app
        self._background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        try:
            async with self._background():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except ConfigurationError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})
