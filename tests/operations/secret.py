"""A Secret of type ``kubernetes.io/tls``, mounted."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from workspace_authz.devplane.pki import Pki


class SecretMount:
    """Files are links through ``..data``, which is switched at once, as the kubelet does it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "tls.crt"
        self.key = directory / "tls.key"

    def put(self, pki: Pki) -> None:
        """Mount another version, and remove the one before."""
        fresh = self._directory / f"..{uuid.uuid4().hex}"
        fresh.mkdir(parents=True)
        shutil.copy(pki.serving_cert, fresh / "tls.crt")
        shutil.copy(pki.serving_key, fresh / "tls.key")
        data, following = self._directory / "..data", self._directory / "..data_tmp"
        before = data.resolve() if data.exists() else None
        following.symlink_to(fresh.name)
        following.replace(data)
        for file in (self.certificate, self.key):
            if not file.is_symlink():
                file.symlink_to(f"..data/{file.name}")
        if before is not None:
            shutil.rmtree(before)
