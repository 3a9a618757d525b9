"""As far as a trainer in Python gets before it looks at its job: PyTorch and MLflow imported."""

import os
import sys

import mlflow  # noqa: F401
import torch
import torch.distributed  # noqa: F401

torch.zeros(1)
if "SLIPWAY_TRIAL" not in os.environ:
    sys.exit("SLIPWAY_TRIAL is not set")
