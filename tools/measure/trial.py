#!/usr/bin/env python3
"""What each worker of a trial takes: memory.py around every worker, with the MLflow, S3 and dataset of a loop that is up.

usage: trial.py [--state .slipway/demo] [--workers 1] [--batch 64] [--limit MIB] [--trainer PATH] cnn|mlp|resnet
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY = Path(__file__).with_name("memory.py")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=("cnn", "mlp", "resnet"))
    parser.add_argument("--state", type=Path, default=Path(".slipway/demo"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit")
    parser.add_argument("--trainer", type=Path, default=CACHE / "target/release/slipway-trainer")
    options = parser.parse_args()
    services = json.loads((options.state / "state.json").read_text())
    keys = json.loads((options.state / "credentials.json").read_text())
    declared = Path("datasets/mnist-10k.yaml").read_text()
    digest = next(word for word in declared.split() if word.startswith("sha256:"))
    trial = {
        "name": "measure-00000000",
        "experiment": "measure",
        "dataset": {"name": "mnist-10k", "digest": digest},
        "model": {"architecture": options.architecture, "dropout": 0.25},
        "training": {"epochs": 3, "batchSize": options.batch, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7},
        "workers": options.workers,
        "parameters": {},
        "register": {"model": "measure", "require": {"accuracy": ">= 0.5"}},
    }
    with socket.socket() as free, tempfile.TemporaryDirectory() as cache:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        workers = []
        for rank in range(options.workers):
            environment = {
                "PET_NNODES": str(options.workers),
                "PET_NPROC_PER_NODE": "1",
                "PET_NODE_RANK": str(rank),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                "SLIPWAY_TRIAL": json.dumps(trial),
                "SLIPWAY_CACHE": f"{cache}/{rank}",
                "MLFLOW_TRACKING_URI": services["mlflow"],
                "AWS_ENDPOINT_URL_S3": services["s3"],
                "AWS_ACCESS_KEY_ID": keys["accessKey"],
                "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
            }
            limit = ["--limit", options.limit] if options.limit else []
            command = [sys.executable, str(MEMORY), *limit, "--", str(options.trainer)]
            workers.append(subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True))
        for rank, worker in enumerate(workers):
            print(f"rank {rank}: {worker.communicate()[0].strip()}")
    return max(worker.returncode for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
