"""The peer of the benchmark: mosec, with the same network by TorchScript in the form that PyTorch optimises for inference.

usage: MODEL=model.pth digits_mosec.py --port PORT | --bench

It answers the JSON of the Open Inference Protocol, with batches of up to 32 that it waits at most 1 ms for, by one process a core. With --bench it
prints how many images a second the network alone answers in one process of one thread, by batches of 1 and of 32.
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import msgspec  # noqa: E402
import torch  # noqa: E402
from mosec import Server, Worker  # noqa: E402

torch.set_num_threads(1)


def prepared() -> torch.jit.ScriptModule:
    """The network, after the calls in which it is optimised."""
    model = torch.jit.load(os.environ["MODEL"], map_location="cpu").eval()
    model = torch.jit.optimize_for_inference(torch.jit.freeze(model))
    with torch.inference_mode():
        for rows in [*range(1, 33)] * 3:
            model(torch.zeros(rows, 1, 28, 28))
    return model


class Digits(Worker):
    def __init__(self) -> None:
        self.model = prepared()

    def deserialize(self, data: bytes) -> list[float]:
        return msgspec.json.decode(data)["inputs"][0]["data"]

    def serialize(self, data: dict) -> bytes:
        return msgspec.json.encode(data)

    def forward(self, data: list[list[float]]) -> list[dict]:
        with torch.inference_mode():
            answers = self.model(torch.tensor(data).view(-1, 1, 28, 28))
            labels = answers.argmax(1).tolist()
        rows = zip(answers.tolist(), labels, strict=True)
        return [{"outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": row},
                             {"name": "label", "datatype": "INT64", "shape": [1], "data": [label]}]} for row, label in rows]


def bench() -> None:
    model, rates = prepared(), {}
    with torch.inference_mode():
        for rows in (1, 32):
            images, calls, begun = torch.rand(rows, 1, 28, 28), 0, time.perf_counter()
            while time.perf_counter() - begun < 1:
                model(images)
                calls += 1
            rates[f"batch{rows}"] = rows * calls / (time.perf_counter() - begun)
    print(msgspec.json.encode(rates).decode())


if __name__ == "__main__":
    if sys.argv[1:] == ["--bench"]:
        bench()
        sys.exit()
    server = Server()
    server.append_worker(Digits, num=os.cpu_count() or 1, max_batch_size=32, max_wait_time=1)
    server.run()
