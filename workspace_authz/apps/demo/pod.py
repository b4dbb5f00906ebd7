"""Service-account files where a pod has them: ``python -m workspace_authz.apps.demo.pod FILES MODULE``.

MLflow's SDK reads them from fixed paths. They are mounted there in a mount namespace of this process's
own, so that nobody else on the machine sees them; then the process becomes the person's. Where the
kernel forbids that (it is Linux' to allow), the person's process is told where the files are instead.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

ACCOUNT_FILES: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# <sched.h>, <sys/mount.h>
_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUSER: Final = 0x10000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000


def main() -> None:
    """Mount if possible, and go on as the person's process, ``MODULE``."""
    files, module = Path(sys.argv[1]).resolve(), sys.argv[2]
    command = [sys.executable, "-m", module]
    if not mounted(files):
        command += ["--account-files", str(files)]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and module


def mounted(files: Path) -> bool:
    """Mount ``files`` on :data:`ACCOUNT_FILES` for this process only; False when the kernel forbids it."""
    if sys.platform != "linux":
        return False
    try:
        _own_mount_namespace()
        # Held open, because a file system mounted below may hide its path.
        source = os.open(files, os.O_PATH | os.O_DIRECTORY)
        try:
            _provide(ACCOUNT_FILES)
            _mount(f"/proc/self/fd/{source}", ACCOUNT_FILES, flags=_MS_BIND | _MS_REC)
        finally:
            os.close(source)
        return (ACCOUNT_FILES / "token").is_file()
    except OSError as error:
        print(f"the account's files cannot be mounted: {error}", file=sys.stderr)
        return False


def _own_mount_namespace() -> None:
    """As root at once; as anybody else in a user namespace in which we are still ourselves."""
    user, group = os.getuid(), os.getgid()
    try:
        _unshare(_CLONE_NEWNS)
    except PermissionError:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount("none", Path("/"), flags=_MS_REC | _MS_PRIVATE)


def _provide(directory: Path) -> None:
    """Make ``directory``, on a file system of our own so that the machine's stays as it is."""
    existing = directory
    while not existing.is_dir():
        existing = existing.parent
    if existing != directory:
        _mount("tmpfs", existing.resolve(), kind="tmpfs")
        directory.mkdir(parents=True)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(flags))


def _mount(source: str, target: Path, *, kind: str | None = None, flags: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    file_system = kind.encode() if kind else None
    _check(libc.mount(source.encode(), bytes(target), file_system, ctypes.c_ulong(flags), None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
