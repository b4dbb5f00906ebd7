"""How many questions the server has asked the API server, from its own metrics."""

from __future__ import annotations

import re
import urllib.request

from bench.servers import Server

SCRAPER = "bench-scraper-token"
USER = f'{SCRAPER},scraper,uid-scraper,"scrapers"'
"""A line of the token file."""
MANIFEST = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bench-scrapers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-metrics}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: scrapers}]
"""


def reviews(server: Server) -> int:
    """All of them so far, one for this question included from the second time on it is not cached."""
    request = urllib.request.Request(server.url + "/metrics", headers={"authorization": f"Bearer {SCRAPER}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        text = response.read().decode()
    found = re.findall(r"^workspace_authz_api_requests_total\{.*\} ([0-9.e+]+)$", text, re.MULTILINE)
    return round(sum(map(float, found)))
