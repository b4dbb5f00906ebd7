"""Makes mlflow-oidc-auth's tables with its own migrations. A program, for another environment."""

from __future__ import annotations

import sys
from importlib import import_module

from sqlalchemy import create_engine

if __name__ == "__main__":
    engine = create_engine(sys.argv[1])
    import_module("mlflow_oidc_auth.db.utils").migrate(engine, "head")
    engine.dispose()
