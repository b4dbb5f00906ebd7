"""The pipeline alone: the middleware around an ASGI app that does nothing, every answer cached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import uvloop

from bench.options import Options
from bench.report import head, row, spread
from bench.stage import Stage
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.enforcement.middleware import GuardMiddleware
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.runtime.build import open_audit_sink
from workspace_authz.runtime.joined import build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.settings import load_settings
from workspace_authz.types import Attributes, UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule

_REQUESTS = 20_000
_MICRO = 1e6
