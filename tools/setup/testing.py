"""Provides what only the tests need: a browser, its driver library, jq, a GitHub API on this machine, and Kubeflow Trainer's schema."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from go import go
from packages import CACHE, phase

ROOT = Path(__file__).resolve().parents[2]
TRAINER = "github.com/kubeflow/trainer/v2@v2.3.0"
TRAINER_HASH = "h1:Je+e7zvTLzB4qW09J1fB7pZrqvPtWuGng2NqdN5p5QU="


def run(*command: str, **options) -> str:
    """Runs a command and returns its output. If it fails, its output is shown."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def install(package: str, what_for: str, how: str) -> None:
    """Installs a Debian package. Where it cannot, it says how a person does."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(how)
    print(f"==> installing {package} for {what_for}", flush=True)
    run("apt-get", "update", "-q")
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", package)


def browser() -> None:
    """Provides a browser."""
    if os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome"):
        return
    how = "brew install --cask chromium" if platform.system() == "Darwin" else "sudo apt-get install chromium"
    install("chromium", "the browser test", f"The browser test needs Chromium: {how}, or set CHROMIUM to its path.")


def jq() -> None:
    """Provides jq, which the steps of the workflows use on a runner."""
    if shutil.which("jq"):
        return
    how = "brew install jq" if platform.system() == "Darwin" else "sudo apt-get install jq"
    install("jq", "the tests of the workflows", f"The tests of the workflows need jq: {how}")


def browser_driver() -> None:
    folder = ROOT / "tests" / "browser"
    if not (folder / "node_modules" / ".package-lock.json").exists():
        print("==> npm ci in tests/browser", flush=True)
        run("npm", "ci", "--no-audit", "--no-fund", cwd=folder)


def emulated_github() -> None:
    """Installs the emulated GitHub API of tests/github into the cache."""
    source, target = ROOT / "tests" / "github" / "emulator", CACHE / "emulate"
    names = ["package.json", "package-lock.json"]
    stamp = target / "node_modules" / "made-from"
    made_from = "".join((source / name).read_text() for name in names)
    if stamp.exists() and stamp.read_text() == made_from:
        return
    print("==> npm ci for tests/github", flush=True)
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(source / name, target / name)
    run("npm", "ci", "--no-audit", "--no-fund", cwd=target)
    stamp.write_text(made_from)


def trainer_schema() -> None:
    """Takes the TrainJob schema from Trainer's own Go module."""
    target = CACHE / "crd" / "trainjobs.yaml"
    if target.exists():
        return
    with go((1, 21)) as found, phase("downloading Kubeflow Trainer's schema"):
        source = found.module(TRAINER, TRAINER_HASH) / "manifests" / "base" / "crds" / "trainer.kubeflow.org_trainjobs.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def main() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    browser()
    browser_driver()
    jq()
    emulated_github()
    trainer_schema()


if __name__ == "__main__":
    main()
