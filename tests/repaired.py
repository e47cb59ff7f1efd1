"""Small wheels that are repaired whole, from a path to a path, as the command does it, and looked at again."""

import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from builders import wheel
from relocator import api
from relocator.audit import run_rules
from relocator.backends import backend_for, identify
from relocator.containers import open_container
from relocator.findings import Finding, Report
from relocator.plans import Edit, apply_patches
from relocator.repairs import Outcome, Plan, RepairOptions, RepairResult
from relocator.rules import RULES
from relocator.survey import take_surveys

LINUX = "cp312-cp312-manylinux_2_17_x86_64"
_NONE: Mapping[str, bytes] = MappingProxyType({})


@dataclass
class Done:
    """What came of a repair."""

    result: RepairResult
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the finished wheel; none when it was refused."""

    @property
    def plan(self) -> Plan:
        assert self.result.plan is not None, self.refusals
        return self.result.plan

    @property
    def output(self) -> Path:
        assert self.result.output, self.refusals
        return Path(self.result.output)

    @property
    def tag(self) -> str:
        return "-".join(self.output.name.removesuffix(".whl").split("-")[-3:])

    @property
    def refusals(self) -> str:
        return "\n".join(f"{failure.message} | {failure.hint}" for failure in self.result.failures)

    def named(self, part: str) -> list[str]:
        """Return the members whose names hold a text."""
        return [name for name in self.files if part in name]


def written(folder: Path, files: Mapping[str, bytes], tag: str = LINUX, libraries: Mapping[str, bytes] = _NONE, **more: str) -> Path:
    """Write a wheel, and beside it the libraries of the machine that it was built on, into `lib`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"demo-1.0-{tag}.whl"
    path.write_bytes(wheel({"demo/__init__.py": b"", **files}, tags=expanded(tag), **more))
    for name, data in libraries.items():
        (folder / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "lib" / name).write_bytes(data)
    return path


def expanded(tag: str) -> list[str]:
    """Return the tags of a compressed set."""
    return ["-".join(one) for one in itertools.product(*(part.split(".") for part in tag.split("-")))]


def repaired(path: Path, options: RepairOptions | None = None, search: Sequence[Path] = (), **more: object) -> Done:
    """Repair a wheel; libraries come from `lib` beside it and from `search`, and never from this machine."""
    folders = [str(folder) for folder in (path.parent / "lib", *search) if folder.is_dir()]
    out = next(out for number in itertools.count() if not (out := path.parent / f"out{number}").exists())
    result = api.repair(str(path), str(out), options, search=folders, **{"host": False, **more})  # type: ignore[call-overload]
    assert isinstance(result, RepairResult)
    if result.outcome in (Outcome.FAILED, Outcome.PLANNED):
        return Done(result)
    with zipfile.ZipFile(result.output) as archive:
        return Done(result, {name: archive.read(name) for name in archive.namelist()})


def reports(path: Path, search: Sequence[Path] = ()) -> list[Report]:
    """Return what an audit says, for each of the platforms that the tags name."""
    with open_container(str(path)) as container:
        return [run_rules(survey, RULES) for survey in take_surveys(container, search=[str(folder) for folder in search])]


def audited(path: Path, search: Sequence[Path] = ()) -> list[Finding]:
    """Return what an audit finds."""
    return [finding for report in reports(path, search) for finding in report.findings]


def edited(data: bytes, *edits: Edit) -> bytes:
    """Return a binary with edits made by our own editor: to make a bad one out of a good one."""
    backend = identify(data[:64])
    assert backend is not None
    return bytes(apply_patches(data, backend_for(backend.FORMAT).prepare(memoryview(data), edits)))
