"""Creates the Python environment of MLflow and the demo page: ${XDG_CACHE_HOME:-~/.cache}/slipway/venv.

With --tests it also creates two that only tests need: venv-torch, which adds PyTorch for the test that `mlflow.pyfunc.load_model`
agrees with the server, and venv-triton, which adds `tritonclient` for the test that it understands the server. With --bench it creates
venv-mosec, which adds to those the server that `make bench` compares ours with. Each is replaced when its lock file or the Python version changes.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from packages import CACHE, PYTHON_M, WHEELS, alone, phase, pip_options, run, sha256

HERE = Path(__file__).resolve().parent
VENV = CACHE / "venv"
VENV_TORCH = CACHE / "venv-torch"
VENV_TRITON = CACHE / "venv-triton"
VENV_MOSEC = CACHE / "venv-mosec"

# Libraries that PyTorch's Linux build links but calls only on a GPU: 3 GB that a test on a CPU does not need.
CUDA_NAMES = ["cublas.so.13", "cublasLt.so.13", "cudnn.so.9", "cufft.so.12", "cufile.so.0", "curand.so.10", "cusolver.so.12",
              "cusparse.so.12", "cusparseLt.so.0", "nccl.so.2", "nvrtc.so.13", "nvshmem_host.so.3"]


def stamp(*locks: Path) -> str:
    """What an environment was made from, this file included."""
    python = ".".join(map(str, sys.version_info[:3]))
    return "\n".join([f"python {python}", *(f"{file.name} {sha256(file)}" for file in (*locks, Path(__file__)))]) + "\n"


def is_made(venv: Path, made_from: str) -> bool:
    """Whether the environment is complete, was made from this lock, and its Python runs (it stops when the system's is upgraded)."""
    try:
        return (venv / "made-from").read_text() == made_from and (
            subprocess.run([venv / "bin" / "python", "-c", ""], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def make(venv: Path, lock: Path, *options: str) -> None:
    """Creates an environment at `venv` with what the lock names. Environments contain their own path, so it is made in place."""
    shutil.rmtree(venv, ignore_errors=True)
    run([*PYTHON_M, "venv", venv], "Python's venv module is needed: apt-get install python3-venv")
    run(
        [venv / "bin" / "python", "-I", "-m", "pip", "install", *pip_options(), "--require-hashes", "--only-binary", ":all:",
         "--find-links", WHEELS, *options, "--requirement", lock],
        "The package index must be reachable, and this Python and platform must have wheels: Python 3.11 to 3.14 on Linux or macOS.",
    )


def site_packages(venv: Path) -> Path:
    """Where the environment keeps its packages."""
    return venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def without_cuda(site: Path) -> None:
    """Makes `import torch` work on Linux without CUDA: empty libraries with the missing names, and symbols bound at the first call."""
    compiler = shutil.which("c++") or sys.exit("A C++ compiler is needed: apt-get install g++")
    for name in CUDA_NAMES:
        target = site / "torch" / "lib" / f"lib{name}"
        command = [compiler, "-shared", "-x", "c", "-", "-o", target, f"-Wl,-soname,lib{name}"]
        subprocess.run(command, input=b"", check=True)
    (site / "slipway-lazy.pth").write_text("import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n")


def base() -> None:
    """MLflow and the page."""
    lock = HERE / "requirements.lock"
    with alone("venv"):
        if is_made(VENV, stamp(lock)):
            return
        WHEELS.mkdir(parents=True, exist_ok=True)
        with phase("installing MLflow and Streamlit (about 250 MB)"):
            make(VENV, lock)
            (VENV / "made-from").write_text(stamp(lock))


def on_base(venv: Path, lock: Path) -> Path:
    """Creates an environment with what the lock names, and with the base environment through a .pth file instead of a second
    installation. Returns where its own packages are."""
    make(venv, lock, "--no-deps", "--no-compile")
    site = site_packages(venv)
    (site / "slipway-base.pth").write_text(f"{site_packages(VENV)}\n")
    return site


def with_torch() -> None:
    """PyTorch."""
    lock = HERE / "requirements-torch.lock"
    made_from = stamp(lock, HERE / "requirements.lock")
    with alone("venv-torch"):
        if is_made(VENV_TORCH, made_from):
            return
        with phase("installing PyTorch for the test that compares it with the server"):
            site = on_base(VENV_TORCH, lock)
            if platform.system() == "Linux":
                without_cuda(site)
            run([VENV_TORCH / "bin" / "python", "-c", "import torch; torch.jit.script(torch.nn.Linear(1, 1))"],
                f"PyTorch was installed into {VENV_TORCH} but does not load.", env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
            (VENV_TORCH / "made-from").write_text(made_from)


def with_triton() -> None:
    """The most common client of the Open Inference Protocol."""
    lock = HERE / "requirements-triton.lock"
    made_from = stamp(lock, HERE / "requirements.lock")
    with alone("venv-triton"):
        if is_made(VENV_TRITON, made_from):
            return
        with phase("installing tritonclient for the test of the model server"):
            on_base(VENV_TRITON, lock)
            run([VENV_TRITON / "bin" / "python", "-c", "import tritonclient.grpc, tritonclient.http"],
                f"tritonclient was installed into {VENV_TRITON} but does not load.")
            (VENV_TRITON / "made-from").write_text(made_from)


def with_mosec() -> None:
    """Another model server, over PyTorch."""
    lock = HERE / "requirements-mosec.lock"
    made_from = stamp(lock, HERE / "requirements.lock", HERE / "requirements-torch.lock")
    with alone("venv-mosec"):
        if is_made(VENV_MOSEC, made_from):
            return
        with phase("installing mosec for the benchmark"):
            site = on_base(VENV_MOSEC, lock)
            # as a folder of packages with .pth files of its own, which a line of a .pth file is not
            torch = site_packages(VENV_TORCH)
            (site / "slipway-torch.pth").write_text(f"import site; site.addsitedir({str(torch)!r})\n")
            run([VENV_MOSEC / "bin" / "python", "-c", "import mosec, msgspec, offapi, torch"],
                f"mosec was installed into {VENV_MOSEC} but does not load.", env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
            (VENV_MOSEC / "made-from").write_text(made_from)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tests", action="store_true", help="also the environments that only tests need")
    arguments.add_argument("--bench", action="store_true", help="also the one that only the benchmark needs, after --tests")
    given = arguments.parse_args()
    base()
    if given.tests:
        with_torch()
        with_triton()
    if given.bench:
        with_mosec()


if __name__ == "__main__":
    main()
