"""Makes the models that the tests serve, each as a folder `slipway` below FOLDER/<name>: TorchScript, and packages of AOTInductor."""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

# As a worker of the server runs them.
torch.set_num_threads(1)

TYPES = {"BOOL": torch.bool, "UINT8": torch.uint8, "INT8": torch.int8, "INT16": torch.int16, "INT32": torch.int32,
         "INT64": torch.int64, "FP16": torch.float16, "BF16": torch.bfloat16, "FP32": torch.float32, "FP64": torch.float64}


class Wine(nn.Module):
    """A table row of three columns to the probabilities of two classes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, -0.5]]))

    def forward(self, row: Tensor) -> Tensor:
        return torch.softmax(row @ self.weight, -1)


class Other(Wine):
    """The same, with other weights."""

    def __init__(self):
        super().__init__()
        self.weight = self.weight * 2


class Fails(nn.Module):
    """Fails on everything but zeros."""

    def forward(self, row: Tensor) -> Tensor:
        if bool(row.abs().sum() > 0):
            raise ValueError("this row is too much")
        return torch.softmax(row[:, :2], -1)


class NotFinite(nn.Module):
    """Numbers that are none for everything but zeros."""

    def forward(self, row: Tensor) -> Tensor:
        return torch.softmax(row[:, :2], -1) + torch.log(-row.abs().sum() + 1)


class Slow(nn.Module):
    """Takes about half a second for everything but zeros, and many seconds for a first number above 100."""

    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.eye(64))

    def forward(self, row: Tensor) -> Tensor:
        turns = 0
        if bool(row.abs().sum() > 0):
            turns = 10_000
        if bool(row.max() > 100):
            turns = 1_000_000
        result = self.matrix
        for _ in range(turns):
            result = result @ self.matrix
        return torch.softmax(row[:, :2] * result[0, 0], -1)


class Every(nn.Module):
    """Every datatype as it came, in a dictionary of another order."""

    def forward(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor, g: Tensor, h: Tensor, i: Tensor,
                j: Tensor) -> dict[str, Tensor]:
        return {"FP64": j, "FP32": i, "BF16": h, "FP16": g, "INT64": f, "INT32": e, "INT16": d, "INT8": c, "UINT8": b, "BOOL": a}


class Words(nn.Module):
    """Ids of words, of which each row has any number, and a mask for them, to the sum of their numbers and how many count."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.arange(20, dtype=torch.float32).reshape(10, 2))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return (self.embedding(ids) * mask.unsqueeze(-1)).sum(1), mask.sum(1)


class Fixed(nn.Module):
    """Two rows, no more and no fewer."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[0] == 2
        return x.sum()


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x)


def tensor(name: str, datatype: str, *shape: int, **more) -> dict:
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def folder(name: str, engine: str, inputs: list, outputs: list, **more) -> Path:
    made = Path(sys.argv[1]) / name / "slipway"
    made.mkdir(parents=True)
    file = {"torchscript": "model.ts", "aotinductor": "model.pt2"}[engine]
    described = {"engine": engine, "file": file, "inputs": inputs, "outputs": outputs, **more}
    (made / "model.json").write_text(json.dumps(described))
    return made / file


def script(name: str, module: nn.Module, *tensors, **more) -> None:
    torch.jit.script(module.eval()).save(str(folder(name, "torchscript", *tensors, **more)))


def compiled(name: str, module: nn.Module, example: Tensor, *tensors, **more) -> None:
    with torch.no_grad():
        exported = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("rows", max=64)},))
        torch._inductor.aoti_compile_and_package(exported, package_path=str(folder(name, "aotinductor", *tensors, **more)))


ROW = [tensor("row", "FP32", -1, 3, columns=["acid", "sugar", "alcohol"])]
CLASSES = [tensor("probabilities", "FP32", -1, 2)]

script("wine", Wine(), ROW, CLASSES, labels=["red", "white"])
script("other", Other(), ROW, CLASSES, labels=["red", "white"])
script("fails", Fails(), ROW, CLASSES, labels=["red", "white"])
script("not-finite", NotFinite(), ROW, CLASSES, labels=["red", "white"])
script("slow", Slow(), ROW, CLASSES, labels=["red", "white"])
script("every", Every(), [tensor(f"in_{name}", name, -1, 2) for name in TYPES], [tensor(name, name, -1, 2) for name in TYPES])
script("words", Words(), [tensor("ids", "INT64", -1, -1), tensor("mask", "BOOL", -1, -1)],
       [tensor("sum", "FP32", -1, 2), tensor("count", "INT64", -1)])
script("fixed", Fixed(), [tensor("x", "FP32", 2, 3)], [tensor("y", "FP32")])
script("log", Log(), [tensor("x", "FP32", -1, 2)], [tensor("y", "FP32", -1, 2)])
# what their signatures say is not what they are
script("another-width", Wine(), [tensor("row", "FP32", -1, 4)], CLASSES)
script("another-type", Wine(), ROW, [tensor("probabilities", "FP64", -1, 2)])
script("another-number", Words(), [tensor("ids", "INT64", -1, -1), tensor("mask", "BOOL", -1, -1)], [tensor("sum", "FP32", -1, 2)])
if "--compiled" in sys.argv:
    compiled("wine-compiled", Wine(), torch.zeros(4, 3), ROW, CLASSES, labels=["red", "white"])
    package = (Path(sys.argv[1]) / "wine-compiled/slipway/model.pt2").read_bytes()
    folder("wine-compiled-another-width", "aotinductor", [tensor("row", "FP32", -1, 4)], CLASSES).write_bytes(package)
