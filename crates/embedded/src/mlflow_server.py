"""MLflow's own server application in this process.

`mlflow server` imports everything twice, once to start uvicorn and once in uvicorn, and a third time for background jobs that
nothing here uses; that is most of its start. What it passes on to the application is set here by MLflow's own names for it.

Arguments: backend store URI, artifacts destination, port (0: a free one). The first line that it prints says where it will answer.
"""

import json
import os
import socket
import sys

store, artifacts, port = sys.argv[1:]

# The port is taken before the imports, which last seconds. asyncio sets TCP_NODELAY only for a socket that is said to be of TCP; without it,
# many an answer waits 40 ms for an acknowledgement.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
# Started again at this port, it finds connections of the server before that have not ended yet. Linux gives it the port only if both have set this.
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(port)))
port = listener.getsockname()[1]
print(json.dumps({"mlflow": f"127.0.0.1:{port}"}), flush=True)

from mlflow.server.constants import (  # noqa: E402
    ARTIFACT_ROOT_ENV_VAR,
    ARTIFACTS_DESTINATION_ENV_VAR,
    BACKEND_STORE_URI_ENV_VAR,
    SERVE_ARTIFACTS_ENV_VAR,
)

os.environ[BACKEND_STORE_URI_ENV_VAR] = store
os.environ[ARTIFACTS_DESTINATION_ENV_VAR] = artifacts
os.environ[ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
os.environ[SERVE_ARTIFACTS_ENV_VAR] = "true"

import uvicorn  # noqa: E402
from mlflow.server.fastapi_app import app  # noqa: E402
from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store  # noqa: E402

# The tables are created now, so that whoever gets an answer from /health finds them.
_get_tracking_store()
_get_model_registry_store()
config = uvicorn.Config(app, host="127.0.0.1", port=port, timeout_graceful_shutdown=1)
uvicorn.Server(config).run(sockets=[listener])
