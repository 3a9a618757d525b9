"""Leaves TorchScript and its signature in SLIPWAY_OUTPUT; the only argument is the network's last bias."""

import json
import os
import sys

import torch
from tracking import log

model = torch.nn.Linear(4, 2)
torch.nn.init.constant_(model.bias, float(sys.argv[1]))
folder = os.environ["SLIPWAY_OUTPUT"]
torch.jit.script(model).save(f"{folder}/model.ts")
with open(f"{folder}/signature.json", "w") as file:
    json.dump({
        "inputs": [{"name": "row", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}],
        "labels": ["no", "yes"],
    }, file)
log(accuracy=1.0)
