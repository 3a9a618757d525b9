#!/usr/bin/env python3
"""What a program and its children take, as a container's limits count it.

usage: memory.py [--limit MIB] [--seconds S] [--pid PID | COMMAND…]

Looks at the processes every 20 ms until the command ends, or for S seconds; then ends a command that it started itself with SIGTERM.
Prints one JSON object:
  anonymous   MiB that no file backs, the highest seen: what a limit must leave room for
  resident    MiB with the pages of mapped files, which the kernel can take back and read again: the highest seen
  now         the two at the last look
  cpu         processor seconds
With --limit the command runs in a memory cgroup of that size (needs root): `killed` says whether it was enough.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK = 0.02
TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    found, new = [], [root]
    while new:
        pid = new.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                new += [int(child) for child in children.read_text().split()]
            except OSError:
                pass  # it has ended meanwhile
    return found


def look(pids: list[int]) -> tuple[float, float]:
    """Anonymous and resident MiB of all."""
    anonymous = resident = 0
    for pid in pids:
        try:
            lines = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            anonymous += int(lines["RssAnon"].split()[0])
            resident += int(lines["VmRSS"].split()[0])
        except (OSError, KeyError):
            pass
    return anonymous / 1024, resident / 1024


def cpu(pids: list[int]) -> float:
    seconds = 0.0
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # user and system, its own and its ended children's
        seconds += sum(int(word) for word in words[11:15]) / TICK
    return seconds


def cgroup(limit: int) -> Path:
    """A new memory cgroup of so many MiB, of version 2 or 1."""
    second = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    folder = Path("/sys/fs/cgroup" if second else "/sys/fs/cgroup/memory") / f"slipway-measure-{os.getpid()}"
    folder.mkdir()
    (folder / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit << 20))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, metavar="MIB")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--pid", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if bool(command) == bool(options.pid):
        parser.error("give either a command or --pid")
    group = cgroup(options.limit) if options.limit else None
    child = None
    if command:
        enter = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
        child = subprocess.Popen(command, stdout=sys.stderr, preexec_fn=enter)
    root = child.pid if child else options.pid
    begun = time.monotonic()
    peak, now, used = (0.0, 0.0), (0.0, 0.0), cpu(tree(root))
    before = 0.0 if child else used
    while (child.poll() is None if child else Path(f"/proc/{root}").exists()):
        pids = tree(root)
        seen = look(pids)
        if seen[1]:
            now, used = seen, max(used, cpu(pids))
        peak = tuple(map(max, peak, now))
        if options.seconds and time.monotonic() - begun > options.seconds:
            break
        time.sleep(LOOK)
    if child and child.poll() is None:
        child.send_signal(signal.SIGTERM)
    code = child.wait() if child else 0
    if group:
        group.rmdir()
    names = ("anonymous", "resident")
    report = {name: round(value, 1) for name, value in zip(names, peak)}
    report |= {"now": {name: round(value, 1) for name, value in zip(names, now)}}
    report |= {"cpu": round(used - before, 2), "seconds": round(time.monotonic() - begun, 2)}
    if child:
        report |= {"code": code, "killed": code == -signal.SIGKILL}
    print(json.dumps(report))
    return 0 if code in (0, -signal.SIGTERM) else 1


if __name__ == "__main__":
    sys.exit(main())
