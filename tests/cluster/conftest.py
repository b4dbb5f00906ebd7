"""One cluster for all tests here; production is installed on it while nothing that it needs is there yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.installation import Installation, install
from tests.cluster.machine import Cluster, running_cluster, why_not
from tests.harness.missing import missing

IMAGES = "CLUSTER_IMAGES"
"""The archives that ``scripts/cluster-images`` printed, with a colon between them."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with one node. Skips the tests, in CI fails them, where there can be none."""
    images = [Path(each) for each in os.environ.get(IMAGES, "").split(":") if each]
    reason = why_not() or (None if images else f"there are no images: {IMAGES} is empty")
    if reason is not None:
        missing(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster"), images=images) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def installation(cluster: Cluster) -> Installation:
    """The overlay ``production``, working: two replicas on PostgreSQL and S3, and the team ``team-a``."""
    return install(cluster)
