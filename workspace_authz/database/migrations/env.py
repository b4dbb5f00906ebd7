"""What Alembic runs: the migrations, on the connection that ``schema.migrate`` holds."""

from __future__ import annotations

from alembic import context

from workspace_authz.database.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
