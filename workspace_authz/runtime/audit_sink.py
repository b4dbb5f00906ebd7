"""Where the audit trail goes, as the settings say. Apart, so that the parent can try it without a runtime."""

from __future__ import annotations

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings import Settings
from workspace_authz.telemetry.audit import AuditSink, open_audit


def open_audit_sink(settings: Settings) -> AuditSink:
    """The sink of the settings. Raises :class:`ConfigurationError` when it cannot be written."""
    try:
        return open_audit(
            settings.audit_sink, max_bytes=settings.audit_max_bytes, queue_size=settings.audit_queue
        )
    except OSError as error:
        raise ConfigurationError(
            f"The audit file {settings.audit_sink} cannot be written: {error.strerror}."
        ) from error
