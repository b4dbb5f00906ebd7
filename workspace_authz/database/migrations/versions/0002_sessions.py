"""The sessions of who has signed in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "workspace_authz_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("renewing_until", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("owner", "digest", name="uq_workspace_authz_sessions_owner"),
        sa.UniqueConstraint("ends_at", "digest", name="uq_workspace_authz_sessions_ends_at"),
        if_not_exists=True,
    )
