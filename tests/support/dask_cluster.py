"""A Dask cluster of two workers on this machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.forked import server
from support.waiting import LONGEST_SECONDS


@contextmanager
def two_workers(settings: dict[str, Any] | None = None) -> Iterator[Any]:
    """Start a cluster; yield it. Clusters of several test processes do not meet.

    Args:
        settings: Dask's settings meanwhile.
    """
    import dask
    from distributed import LocalCluster

    server()  # runs before Dask asks for one that has imported less
    own = {
        "distributed.deploy.lost-worker-timeout": f"{LONGEST_SECONDS}s",  # to start
        "distributed.worker.multiprocessing-method": "forkserver",
    }
    with (
        dask.config.set(own | (settings or {})),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",  # any free port; without an address it would be 8787
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster
