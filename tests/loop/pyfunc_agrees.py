"""Loads the served version with mlflow.pyfunc and compares it with the server, image by image, to 1e-4."""

import json
import os
import sys
import urllib.request

import mlflow
import numpy as np

SERVER = os.environ["SLIPWAY_SERVER_URL"].rstrip("/")
TOLERANCE = 1e-4


def served_version() -> str:
    with urllib.request.urlopen(f"{SERVER}/v2/models/mnist", timeout=10) as answer:
        return str(json.load(answer)["versions"][0])


def ask(images: np.ndarray) -> np.ndarray:
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}
    request = urllib.request.Request(
        f"{SERVER}/v2/models/mnist/infer",
        data=json.dumps({"inputs": [tensor]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        outputs = {output["name"]: output for output in json.load(answer)["outputs"]}
    return np.array(outputs["probabilities"]["data"], dtype=np.float32).reshape(outputs["probabilities"]["shape"])


def main() -> None:
    version = served_version()
    model = mlflow.pyfunc.load_model(f"models:/mnist/{version}")
    images = np.random.default_rng(7).random((16, 1, 28, 28), dtype=np.float32)
    difference = float(np.abs(np.asarray(model.predict(images)) - ask(images)).max())
    print(f"mnist version {version}: pyfunc and the server differ by at most {difference:.2e}")
    if not difference <= TOLERANCE:
        sys.exit(f"that is more than {TOLERANCE}")


if __name__ == "__main__":
    main()
