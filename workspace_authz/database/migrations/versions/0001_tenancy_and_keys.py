"""The first tables. A migration repeats the columns on purpose: it must stay what it was.

Each step is skipped if it was done: MySQL cannot undo one when the next fails.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "workspace_authz_tenancy",
        sa.Column("workspace", sa.String(63), primary_key=True),
        sa.Column("namespace_uid", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("claimed_by", sa.String(255), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "workspace_authz_keys",
        sa.Column("purpose", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary(64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        if_not_exists=True,
    )
