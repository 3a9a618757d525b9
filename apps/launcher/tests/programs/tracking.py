"""What a program does with MLflow, without the seconds that importing it takes."""

import json
import os
import time
import urllib.request


def call(path, body):
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


def log(step=0, **metrics):
    now = int(time.time() * 1000)
    call("runs/log-batch", {
        "run_id": os.environ["MLFLOW_RUN_ID"],
        "metrics": [{"key": key, "value": value, "timestamp": now, "step": step} for key, value in metrics.items()],
    })
