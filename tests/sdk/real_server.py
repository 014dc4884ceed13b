"""The real API with a projector on any log, in this process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from mltrail_api.app import create_app
from mltrail_api.services import compose
from mltrail_core.artifacts import open_artifact_store
from mltrail_core.liveness import open_liveness
from mltrail_core.log import open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.readmodel.store import open_read_model
from mltrail_projector.loop import Projector
from tests.sdk.projected import wait_for
from tests.servers import free_port


@contextlib.contextmanager
def real_server(log_url: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an API that answers; its address is published in the log, as `mltrail server` does."""
    log, read_model = open_log(log_url), open_read_model(str(folder / "read"))
    artifacts = open_artifact_store(str(folder / "artifacts"))
    ensure_begun(log)
    stop = threading.Event()
    projecting = threading.Thread(target=Projector(log, read_model).run, args=(stop,))
    port = free_port()
    liveness = open_liveness(log_url)
    app = create_app(compose(log, read_model, artifacts, liveness))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    serving = threading.Thread(target=server.run)
    projecting.start()
    serving.start()
    try:
        wait_for(lambda: server.started)
        url = f"http://127.0.0.1:{port}"
        log.publish("api_url", url)
        yield url
    finally:
        server.should_exit = True
        serving.join()
        stop.set()
        projecting.join()
        liveness.close()
        artifacts.close()
        read_model.close()
        log.close()
