"""Which texts of a request are normalized, by us or by MLflow: keys that are compared, URLs and hosts.

``urllib.parse.urlsplit`` normalizes a host that is not ASCII, and MLflow splits what stands in these fields.
The URLs are from the fields of MLflow's protos and of its FastAPI models, and from the calls of ``urlsplit``
and ``urlparse`` in its handlers and stores (3.17.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.catalog.identity_stamps import STAMPS
from workspace_authz.catalog.stamp import Shape, Stamp

Places = tuple[str, ...]
"""Dotted paths. ``[]`` is every element of a list, ``{}`` every key of a map, ``{}=`` every value of it."""

_ICONS: Final = "icons[].src"
URLS: Final[Mapping[str, Places]] = MappingProxyType(
    {
        "CreateExperiment": ("artifact_location",),
        "CreateModelVersion": ("source", "run_link"),
        "CreateWebhook": ("url",),
        "UpdateWebhook": ("url",),
        "CreatePresignedUploadUrl": ("path",),
        "CreateMultipartUpload": ("path",),
        "CompleteMultipartUpload": ("path",),
        "AbortMultipartUpload": ("path",),
        "CreateGatewaySecret": ("auth_config{}=", "secret_value{}="),
        "UpdateGatewaySecret": ("auth_config{}=", "secret_value{}="),
        "CreateSkill": (_ICONS,),
        "UpdateSkill": (_ICONS,),
        "CreateMcpServer": (_ICONS,),
        "UpdateMcpServer": (_ICONS,),
        "CreateMcpServerVersion": (_ICONS, "server_json.icons[].src", "tools[].icons[].src"),
        "UpdateMcpServerVersion": (_ICONS, "server_json.icons[].src", "tools[].icons[].src"),
        "CreateMcpAccessEndpoint": ("url",),
        "UpdateMcpAccessEndpoint": ("url",),
    }
)
"""URLs, and paths that MLflow takes for such, by operation."""


def _keys(stamp: Stamp) -> Places:
    """The keys that are compared with the stamp's own. JSON within a text is not looked into."""
    if "@json" in stamp.place:
        return ()
    match stamp.shape:
        case Shape.MAP:
            return (f"{stamp.place}{{}}",)
        case Shape.PAIRS:
            return (f"{stamp.place}[].key",)
        case Shape.PAIR:
            return ("key",)
        case Shape.SOURCE:
            return (f"{stamp.place}.metadata{{}}",)
        case _:
            return ()


KEYS: Final[Mapping[str, Places]] = MappingProxyType(
    {
        operation: tuple(dict.fromkeys(key for stamp in stamps for key in _keys(stamp)))
        for operation, stamps in STAMPS.items()
    }
)
"""The keys of tags and metadata, by operation: those in which a stamp looks for its own."""
