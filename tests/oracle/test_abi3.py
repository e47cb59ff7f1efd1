"""What we say of stable-ABI modules against abi3audit, on real wheels. Every difference is explained here, or it is our bug."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import wheel
from relocator.api import audit
from relocator.containers import open_container
from relocator.knowledge import table
from relocator.roles import exported_names
from relocator.survey import take_surveys

RULES = ("abi3-violation", "newer-abi3-than-tag")

SMALL = 10 << 20

Symbols = dict[str, set[str]]
"""By kind ("outside", "newer"), the names of symbols."""


def wheels(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.glob("*-abi3-*.whl")) if path.stat().st_size < 100 << 20]
    if not found:
        pytest.skip("the corpus has no wheel for the stable ABI")
    return found


def ours(path: Path) -> dict[str, Symbols]:
    """What we say, by file name."""
    reports, failures = audit(path)
    assert failures == ()
    found: dict[str, Symbols] = {}
    for report in reports:
        for finding in report.findings:
            if finding.rule in RULES:
                kind = "outside" if finding.rule == RULES[0] else "newer"
                name = finding.primary.member.rpartition("/")[2]
                found.setdefault(name, {"outside": set(), "newer": set()})[kind].add(finding.primary.value)
    return found


def theirs(tool: str, path: Path) -> dict[str, Symbols]:
    """What abi3audit says, by file name."""
    done = subprocess.run([tool, "--report", str(path)], capture_output=True, text=True, check=False)
    files = json.loads(done.stdout)["specs"][str(path)]["wheel"]
    return {
        one["name"]: {"outside": set(one["result"]["non_abi3_symbols"]), "newer": set(one["result"]["future_abi3_objects"])}
        for one in files
    }


def explained(symbol: str, defined: set[str]) -> bool:
    """Tell whether it is known why abi3audit and we differ over a symbol.

    It counts symbols that a file defines, we do not (psutil 6.0.0 has a function PyErr_SetFromOSErrnoWithSyscall of its own). And its table
    may be of another date than ours.
    """
    return symbol in defined or (symbol not in table("stable_abi.json")["added"] and symbol in newest_table())


def defined_in(path: Path) -> set[str]:
    """The names that files of a wheel export, as C spells them."""
    with open_container(str(path)) as container:
        images = [image for survey in take_surveys(container) for _, image in survey.images()]
    return {name.decode("utf-8", "replace") for image in images for name in exported_names(image)}


def newest_table() -> set[str]:
    if importlib.util.find_spec("abi3info") is None:
        return set()
    abi3info = importlib.import_module("abi3info")
    return {symbol.name for symbol in (*abi3info.FUNCTIONS, *abi3info.DATAS)}


def program(oracle: Callable[..., str]) -> str:
    beside = Path(sys.executable).with_name("abi3audit")
    return str(beside) if beside.exists() else oracle("abi3audit")


def differences(path: Path, tool: str) -> set[tuple[str, str, str]]:
    """What one of us says and the other does not, without what is explained."""

    def flat(told: dict[str, Symbols]) -> set[tuple[str, str, str]]:
        return {(name, kind, symbol) for name, kinds in told.items() for kind, symbols in kinds.items() for symbol in symbols}

    defined = defined_in(path)
    return {entry for entry in flat(ours(path)) ^ flat(theirs(tool, path)) if not explained(entry[2], defined)}


def test_we_and_abi3audit_say_the_same_of_real_wheels(corpus: Path, oracle: Callable[..., str]) -> None:
    tool = program(oracle)
    for path in wheels(corpus):
        assert differences(path, tool) == set(), path.name


def test_we_and_abi3audit_say_the_same_of_real_wheels_under_the_oldest_tag(
    corpus: Path, oracle: Callable[..., str], tmp_path: Path
) -> None:
    """Everything that the stable ABI has got since Python 3.2 is then too new."""
    tool = program(oracle)
    newer = 0
    for path in wheels(corpus):
        if path.stat().st_size < SMALL:
            renamed = tmp_path / re.sub(r"-cp3\d+-abi3-", "-cp32-abi3-", path.name)
            shutil.copy(path, renamed)
            assert differences(renamed, tool) == set(), path.name
            newer += sum(len(kinds["newer"]) for kinds in ours(renamed).values())
    assert newer


def test_both_object_to_a_module_that_is_only_called_abi3(corpus: Path, oracle: Callable[..., str], tmp_path: Path) -> None:
    """The negative control: a module for one Python under a name that says abi3."""
    tool = program(oracle)
    for member, data in versioned_modules(corpus):
        name = member.rpartition("/")[2].partition(".")[0]
        path = tmp_path / f"demo-1.0-cp38-abi3-{PLATFORM}.whl"
        path.write_bytes(wheel({f"demo/{name}.abi3.so": data}, tags=[f"cp38-abi3-{PLATFORM}"]))
        assert ours(path)[f"{name}.abi3.so"]["outside"]
        assert theirs(tool, path)[f"{name}.abi3.so"]["outside"]
        assert differences(path, tool) == set(), member


PLATFORM = "manylinux_2_17_x86_64"


def versioned_modules(corpus: Path) -> list[tuple[str, bytes]]:
    """A few modules of a wheel for one Python."""
    found = sorted(corpus.glob("pandas-*-cp312-cp312-manylinux*.whl"))
    if not found:
        pytest.skip("the corpus has no wheel of pandas")
    with zipfile.ZipFile(found[0]) as archive:
        members = [name for name in archive.namelist() if name.endswith("linux-gnu.so")][:5]
        return [(name, archive.read(name)) for name in members]
