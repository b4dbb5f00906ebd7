"""``python -m workspace_authz.roles [--check]``: write ``rbac/``, or name its stale files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workspace_authz.roles.files import rbac_files, stale


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files. Returns the exit status: 1 when ``--check`` finds a stale file."""
    parser = argparse.ArgumentParser(prog="python -m workspace_authz.roles", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: here)")
    options = parser.parse_args(arguments)
    wanted = rbac_files()
    outdated = stale(options.root, wanted)
    for path in outdated:
        if options.check:
            sys.stderr.write(f"stale: {path} (make refresh)\n")
        elif path in wanted:
            (options.root / path).write_text(wanted[path])
        else:
            (options.root / path).unlink()
    return int(options.check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
