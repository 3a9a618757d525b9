#!/usr/bin/env python3
"""The built-in `cnn` in PyTorch's best form on CPUs, for `make bench`: images per second, on standard output of rank 0.

Run by torchrun, or alone for one process: torch_training.py BATCH STEPS, where BATCH is the global one. `channels_last`, fused Adam, images
that are normalised and in that order before the first step, gradients as views of the buckets, no number asked for in the loop. The allocator
is tuned as the trainer's is. The first 20 steps are not counted, as in `slipway-trainer bench`.
"""

import ctypes
import datetime
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

WARM_UP = 20


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2), inplace=True)
        x = F.relu(F.max_pool2d(self.conv2(x), 2), inplace=True)
        x = F.dropout(F.relu(self.fc1(x.flatten(1)), inplace=True), 0.25, self.training)
        return self.fc2(x)


def tune_allocator() -> None:
    """Keeps large blocks in the heap, as `keep` of crates/allocator does."""
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    assert mallopt(mmap_threshold, 2**31 - 1) and mallopt(trim_threshold, 2**31 - 1) and mallopt(top_pad, 64 << 20)


def main() -> None:
    batch, steps = int(sys.argv[1]), int(sys.argv[2])
    tune_allocator()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rank, workers = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(7)
    model: nn.Module = Cnn().to(memory_format=torch.channels_last)
    if workers > 1:
        dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
        model = DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    local = batch // workers
    count = 8_000
    images = ((torch.rand(count, 1, 28, 28) - 0.1307) / 0.3081).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (count,))
    per_epoch = count // batch
    losses = []
    begun = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            begun = time.perf_counter()
        if step % per_epoch == 0:
            order = torch.randperm(count)
        start = (step % per_epoch) * batch + rank * local
        own = order[start : start + local]
        # index_select gives images one after the other; the strides of a single channel say that it comes last
        pixels = images.index_select(0, own).as_strided((local, 1, 28, 28), (784, 1, 28, 1))
        loss = F.cross_entropy(model(pixels), labels.index_select(0, own))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    seconds = time.perf_counter() - begun
    assert torch.stack(losses).isfinite().all()
    if rank == 0:
        print(batch * steps / seconds)
    if workers > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
