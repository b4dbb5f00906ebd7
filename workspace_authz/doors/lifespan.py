"""What ASGI's lifespan channel reveals about the server that runs the app."""

from __future__ import annotations

import uvicorn

from workspace_authz.aio.asgi import Receive


def uvicorn_config(receive: Receive) -> uvicorn.Config | None:
    """The configuration of the uvicorn server whose lifespan channel is ``receive``; None for another server.

    uvicorn 0.54 has no interface for this. But ``receive`` is a method of its ``LifespanOn``, which holds the
    public ``uvicorn.Config``.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    return config if isinstance(config, uvicorn.Config) else None
