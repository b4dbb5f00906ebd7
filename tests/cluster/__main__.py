"""``python -m tests.cluster``: a cluster for hands, until Ctrl-C.

``--why-not`` only says why there can be none here, with status 1.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.cluster.machine import Cluster, enter, running_cluster, why_not


def main() -> None:
    """Start it, or say why not."""
    reason = why_not()
    if reason is not None:
        print(reason)
        sys.exit(1)
    if "--why-not" in sys.argv:
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    images = [Path(each) for each in os.environ.get("CLUSTER_IMAGES", "").split(":") if each]
    with (
        tempfile.TemporaryDirectory(prefix="workspace-authz-cluster-", ignore_cleanup_errors=True) as state,
        running_cluster(Path(state), images=images) as cluster,
    ):
        _explain(cluster)
        try:
            cluster.process.process.wait()
        except KeyboardInterrupt:
            print("ending")


def _explain(cluster: Cluster) -> None:
    shell = " ".join(enter(cluster.process.process.pid))
    print(f"kubectl:            {cluster.kubectl.program}")
    print(f"inside (ctr, curl): {shell} sh")
    print(f"logs:               {cluster.state}", flush=True)


if __name__ == "__main__":
    main()
