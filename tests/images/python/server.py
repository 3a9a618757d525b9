"""As far as a model server in Python gets before it has a model: PyTorch and MLflow imported, listening."""

import os

import mlflow  # noqa: F401
import torch
import uvicorn
from fastapi import FastAPI

torch.zeros(1)
app = FastAPI()


@app.get("/healthz")
def healthz() -> dict:
    return {}


host, port = os.environ["SLIPWAY_LISTEN"].rsplit(":", 1)
uvicorn.run(app, host=host, port=int(port), log_level="warning")
