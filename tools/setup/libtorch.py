"""Unpacks the CPU part of libtorch 2.13.0, which tch 0.26 links, from PyTorch's wheel: ${XDG_CACHE_HOME:-~/.cache}/slipway/libtorch-2.13.0.

PyTorch's own archives of libtorch are not on a package index; the wheel holds the same headers and libraries. Python's torch is never
imported, and the CUDA libraries of the Linux wheel are left out.
"""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packages import CACHE, alone, phase, sha256, wheels

VERSION = "2.13.0"
TARGET = CACHE / f"libtorch-{VERSION}"
HERE = Path(__file__).resolve().parent
# Increase this when the layout below changes, so that older trees are replaced.
LAYOUT = "1"

# In torch/lib, and useless without CUDA or Python.
LEFT_OUT = re.compile(r"lib(torch_cuda|torch_nvshmem|c10_cuda|caffe2_nvrtc|torch_python|shm|torch_global_deps)")


@dataclass(frozen=True)
class Platform:
    """A platform that PyTorch has wheels for."""

    requirements: Path
    # pip's options that choose its wheels. The libraries do not depend on Python's version, so one version's wheel serves all.
    pip: list[str]
    linux: bool


def this_platform() -> Platform:
    """The platform that this runs on, or an error that names the supported ones."""
    system, machine = platform.system(), platform.machine().lower()
    python = ["--python-version", "3.11", "--implementation", "cp"]
    if system == "Linux" and machine in ("x86_64", "amd64", "aarch64", "arm64"):
        arch = "x86_64" if machine in ("x86_64", "amd64") else "aarch64"
        if platform.libc_ver()[0] != "glibc":
            sys.exit(f"PyTorch has no wheels for Linux without glibc ({machine}). Use a glibc distribution such as Debian or Fedora.")
        tags = [word for tag in ("manylinux_2_28", "manylinux_2_25", "manylinux2014") for word in ("--platform", f"{tag}_{arch}")]
        return Platform(HERE / f"libtorch-requirements-linux-{arch}.txt", python + tags, linux=True)
    if system == "Darwin" and machine == "arm64":
        return Platform(HERE / "libtorch-requirements-macos-arm64.txt", python + ["--platform", "macosx_14_0_arm64"], linux=False)
    sys.exit(
        f"There is no libtorch {VERSION} for {system} on {machine}. Slipway trains on Linux x86-64, Linux arm64 and macOS 14 on Apple silicon.\n"
        f"If you have your own libtorch {VERSION}, with the headers of c10d, set LIBTORCH to its folder and skip this step."
    )


def extract(wheel: Path, into: Path, keep) -> None:
    """Unpacks the members for which `keep(name)` returns a path, to that path below `into`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = None if member.is_dir() else keep(member.filename)
            if path is None:
                continue
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if target.parent.name == "lib":
                target.chmod(0o755)


def from_torch(name: str) -> str | None:
    """The path in the tree of a member of torch's wheel, or None if it is neither a header nor a CPU library."""
    if name.startswith("torch/include/"):
        return name.removeprefix("torch/")
    library = re.fullmatch(r"torch/lib/([^/]+\.(?:so|dylib)[^/]*)", name)
    return f"lib/{library[1]}" if library and not LEFT_OUT.match(library[1]) else None


def from_cuda(name: str) -> str | None:
    """The path in the tree of two small libraries that libtorch_cpu.so needs on Linux, otherwise None. They need a GPU to do anything."""
    library = re.fullmatch(r"nvidia/cu13/lib/(lib(?:cudart|cupti)\.so\.13)", name)
    return f"lib/{library[1]}" if library else None


def link_libtorch(lib: Path) -> None:
    """Links the libtorch.so that `-ltorch` finds. It forwards to libtorch_cpu.so; the wheel's own would need CUDA."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        sys.exit("A C++ compiler is needed: apt-get install g++")
    target = lib / "libtorch.so"
    target.unlink(missing_ok=True)
    command = [compiler, "-shared", "-x", "c", "-", "-o", str(target), "-Wl,-soname,libtorch.so", "-Wl,--no-as-needed", f"-L{lib}",
               "-ltorch_cpu", "-lc10", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"linking {target} failed:\n{done.stderr}")


def stamp(requirements: Path) -> str:
    """What the tree was made from."""
    return f"layout {LAYOUT}, {sha256(requirements)}\n"


def assemble(here: Platform, into: Path) -> None:
    """Writes the whole tree into an empty folder."""
    found = wheels(here.requirements, here.pip)
    with phase(f"unpacking libtorch {VERSION}"):
        extract(found["torch"], into, from_torch)
        if here.linux:
            for name in ("nvidia-cuda-runtime", "nvidia-cuda-cupti"):
                extract(found[name], into, from_cuda)
            link_libtorch(into / "lib")
        (into / "build-version").write_text(VERSION + "\n")
        (into / "made-from").write_text(stamp(here.requirements))


def main() -> None:
    here = this_platform()
    made_from = TARGET / "made-from"
    with alone("libtorch"):
        if made_from.exists() and made_from.read_text() == stamp(here.requirements):
            return
        # In the same file system as the target, so the last step is a rename, and an incomplete tree never looks like libtorch.
        work = Path(tempfile.mkdtemp(prefix=".libtorch-", dir=CACHE))
        try:
            tree = work / "tree"
            tree.mkdir()
            assemble(here, tree)
            if TARGET.exists():
                TARGET.rename(work / "old")
            tree.rename(TARGET)
        finally:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
