"""Provides what only the tests of the images need: containerd and runc, and a registry built from its Go module."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from go import go, oldest
from packages import TOOLS, alone, phase, sha256

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "tools" / "testbed" / "modules" / "registry"


def containers() -> None:
    """Installs Debian's packages. Without the permission to do so, it says what to do."""
    missing = [program for program in ("containerd", "ctr", "runc") if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        if not (shutil.which("apt-get") and os.geteuid() == 0):
            sys.exit(f"The images are tested under containerd and runc ({', '.join(missing)} missing): sudo apt-get install containerd runc")
        print("==> installing containerd and runc for the tests of the images", flush=True)
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "containerd", "runc"], check=True)
    if os.geteuid() != 0:
        sys.exit("Containers need root: run this as root, such as `sudo -E make test-images`.")


def registry() -> None:
    """Builds the CNCF's registry, once for each version of the module."""
    target = TOOLS / "bin" / "registry"
    stamp = TOOLS / "registry.made-from"
    made_from = "".join(sha256(MODULE / name) + "\n" for name in ("go.sum", "main.go"))
    with alone("registry"):
        if target.exists() and stamp.exists() and stamp.read_text() == made_from:
            return
        with go(oldest(MODULE)) as found, phase("building the registry for the tests of the images (the first time takes some minutes)"):
            found.build(MODULE, ".", target)
        stamp.write_text(made_from)


def main() -> None:
    containers()
    registry()


if __name__ == "__main__":
    main()
