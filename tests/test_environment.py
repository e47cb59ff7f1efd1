"""Installed environments: layouts of three systems, who owns what, which Python it is, and everything that can be broken."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import record_hash
from conftest import FIXTURES
from relocator.audit import run_rules
from relocator.containers import open_container, open_environment
from relocator.errors import ContainerError
from relocator.model import Binary, ContainerFacts, How, Load, Resolution, Survey
from relocator.processes import Surroundings
from relocator.rules import RULES
from relocator.survey import take_surveys

ELF = FIXTURES / "bin" / "elf" / "x86_64"
PE = FIXTURES / "bin" / "pe" / "x64"
MACHO = FIXTURES / "bin" / "macho" / "arm64"
EXT = "ext.cpython-312-x86_64-linux-gnu.so"
SITE = "lib/python3.12/site-packages"

Files = dict[str, bytes]


def elf(name: str) -> bytes:
    return (ELF / name).read_bytes()


def lay(root: Path, files: Files) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def distribution(name: str, files: Files, *, site: str = SITE, version: str = "1.0", info: Files | None = None, **extra: str) -> Files:
    """The files of an installed distribution, by their place below the prefix; `extra` are header lines of METADATA."""
    lines = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in extra.items())
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}".encode(),
        "INSTALLER": b"pip\n",
        **(info or {}),
    }
    inside = {**files, **{f"{folder}/{key}": data for key, data in about.items()}}
    rows = "".join(f"{path},{record_hash(data)},{len(data)}\n" for path, data in inside.items()) + f"{folder}/RECORD,,\n"
    inside.setdefault(f"{folder}/RECORD", rows.encode())
    return {os.path.normpath(f"{site}/{path}").replace("\\", "/"): data for path, data in inside.items()}


def venv(root: Path, *contents: Files, config: str = "home = /nowhere/bin\nversion = 3.12.4\n") -> Path:
    """A virtual environment for Linux whose Python is a copy of a small program."""
    lay(root, {"pyvenv.cfg": config.encode(), "bin/python3.12": elf("pie")})
    (root / "bin" / "python").symlink_to("python3.12")
    (root / SITE).mkdir(parents=True)
    for files in contents:
        lay(root, files)
    return root


def facts_of(path: Path, *, hashes: bool = False) -> ContainerFacts:
    with open_environment(str(path), hashes=hashes) as container:
        for _ in container.entries(lambda head: head.startswith(b"\x7fELF")):
            pass
        return container.facts()


def survey_of(path: Path, target: str = "", **surroundings: object) -> Survey:
    with open_environment(str(path)) as container:
        (found,) = take_surveys(container, target=target, surroundings=Surroundings(**surroundings))  # type: ignore[arg-type]
        return found


def problems(facts: ContainerFacts) -> list[tuple[str, str, str]]:
    return [tuple(problem) for problem in facts.problems]  # type: ignore[misc]


def owners(survey: Survey) -> dict[str, str]:
    """Whose each file is, the interpreter apart."""
    return {b.member: b.owner for b in survey.binaries if b.owner and not b.member.startswith(("bin/python", "Scripts/"))}


def load_of(survey: Survey, member: str) -> Load:
    binary = next(binary for binary in survey.binaries if binary.member == member)
    return next(load for load in survey.loads if load.root == binary.path)


def needs(survey: Survey, member: str) -> dict[str, Resolution]:
    return {resolution.needed.name: resolution for resolution in load_of(survey, member).resolutions}


DEMO = distribution("demo", {f"demo/{EXT}": elf("ext.so"), "demo/__init__.py": b"", "../../../bin/demo-tool": elf("no_pie")})


# ---- layouts


def test_a_virtual_environment_of_linux(tmp_path: Path) -> None:
    survey = survey_of(venv(tmp_path, DEMO))
    facts = survey.container
    assert (facts.kind, facts.root, facts.sites) == ("environment", str(tmp_path), (f"{tmp_path}/{SITE}",))
    assert facts.origin == "virtual environment, CPython 3.12.4"
    assert facts.interpreter is not None
    assert (facts.interpreter.path, facts.interpreter.tag, facts.interpreter.abi) == (f"{tmp_path}/bin/python3.12", "cp312", "cp312")
    (own,) = facts.distributions
    assert (own.name, own.version, own.installer, own.source, own.editable) == ("demo", "1.0", "pip", "pip", False)
    assert own.metadata == f"{tmp_path}/{SITE}/demo-1.0.dist-info"
    assert owners(survey) == {f"demo/{EXT}": "demo", "bin/demo-tool": "demo"}
    assert facts.problems == ()


def test_the_target_is_the_interpreters_platform_at_its_newest_level(tmp_path: Path) -> None:
    target = survey_of(venv(tmp_path, DEMO)).target
    assert (target.os, target.libc, target.arches, target.local) == ("linux", "glibc", ("x86_64",), True)
    assert (target.tag, target.pythons, target.abis) == ("linux_x86_64", ("cp312",), ("cp312",))


def test_a_target_that_is_asked_for_goes_before_the_interpreters(tmp_path: Path) -> None:
    target = survey_of(venv(tmp_path, DEMO), "manylinux_2_17_x86_64").target
    assert (target.tag, target.local, target.pythons) == ("manylinux_2_17_x86_64", False, ("cp312",))


def test_extension_modules_are_named_from_their_site_packages(tmp_path: Path) -> None:
    survey = survey_of(venv(tmp_path, DEMO, {"share/ext.so": elf("ext.so")}))
    assert [binary.extension for binary in survey.binaries if binary.extension] == ["demo.ext"]


@pytest.mark.parametrize("named", ["", SITE, "bin/python", "bin/python3.12"])
def test_an_environment_is_named_by_prefix_site_packages_or_python(tmp_path: Path, named: str) -> None:
    facts = facts_of(venv(tmp_path, DEMO) / named)
    assert (facts.root, facts.sites) == (str(tmp_path), (f"{tmp_path}/{SITE}",))


def test_audit_recognises_an_environment_and_nothing_else(tmp_path: Path) -> None:
    venv(tmp_path / "env", DEMO)
    lay(tmp_path / "target", distribution("demo", {}, site="."))
    lay(tmp_path / "conda", {"conda-meta/history": b""})
    kinds = {}
    for name in ("env", f"env/{SITE}", "conda", "target", "env/bin"):
        with open_container(str(tmp_path / name)) as container:
            list(container.entries())
            kinds[name] = container.facts().kind
    assert kinds == {"env": "environment", f"env/{SITE}": "environment", "conda": "environment", "target": "folder", "env/bin": "folder"}


def test_a_target_folder_has_no_python(tmp_path: Path) -> None:
    lay(tmp_path, distribution("demo", {f"demo/{EXT}": elf("ext.so")}, site="."))
    survey = survey_of(tmp_path)
    assert survey.container.origin == "target folder"
    assert survey.container.problems == ()
    assert (survey.target.tag, survey.target.pythons) == ("linux_x86_64", ("cp312",))
    assert owners(survey) == {f"demo/{EXT}": "demo"}


def _with_standard_library(root: Path) -> Path:
    """A virtual environment whose Python, elsewhere, has two modules, one of them damaged."""
    lib = "lib/python3.12/lib-dynload"
    base = {
        "bin/python3.12": elf("pie"),
        f"{lib}/ext.cpython-312-x86_64-linux-gnu.so": elf("ext.so"),
        f"{lib}/_bad.so": elf("ext.so")[:100],
        f"{lib}/notes.txt": b"",
    }
    return venv(lay(root / "base", base).parent / "env", DEMO, config=f"home = {root}/base/bin\nversion = 3.12.4\n")


def test_the_standard_librarys_modules_are_the_interpreters(tmp_path: Path) -> None:
    survey = survey_of(_with_standard_library(tmp_path))
    python = next(one for one in survey.container.distributions if one.source == "python")
    assert (python.name, python.version) == ("CPython", "3.12.4")
    assert python.root == f"{tmp_path}/base/lib/python3.12/lib-dynload"
    (own,) = [binary for binary in survey.binaries if binary.owner == "CPython"]
    assert (own.path, own.extension, own.role) == (f"{python.root}/{EXT}", "ext", "import-reachable")
    assert any(load.root == own.path for load in survey.loads)
    assert [(file.path, file.owner) for file in survey.unreadable] == [(f"{python.root}/_bad.so", "CPython")]
    assert not [member for member in survey.container.members if "lib-dynload" in member.name]


def test_the_interpreters_own_modules_are_not_judged(tmp_path: Path) -> None:
    survey = survey_of(_with_standard_library(tmp_path))
    report = run_rules(survey, RULES)
    assert report.findings
    assert not [finding for finding in report.findings if "lib-dynload" in finding.primary.member]
    assert report.checked.binaries == sum(1 for binary in survey.binaries if binary.owner not in ("", "CPython"))


def test_a_user_site_packages_has_no_python_and_knows_its_version(tmp_path: Path) -> None:
    lay(tmp_path, DEMO)
    facts = facts_of(tmp_path)
    assert facts.origin == "Python installation, CPython 3.12"
    assert [problem[0] for problem in problems(facts)] == ["interpreter"]
    assert facts.distributions[0].name == "demo"


def test_a_windows_virtual_environment_is_read_on_any_system(tmp_path: Path) -> None:
    files = distribution("demo", {"demo/ext.pyd": (PE / "ext.pyd").read_bytes()}, site="Lib/site-packages")
    config = b"home = C:\\Python312\nversion = 3.12.1\n"
    lay(tmp_path, {**files, "pyvenv.cfg": config, "Scripts/python.exe": (PE / "probe.exe").read_bytes()})
    survey = survey_of(tmp_path)
    assert (survey.target.tag, survey.target.os, survey.target.pythons) == ("win_amd64", "windows", ("cp312",))
    assert owners(survey) == {"demo/ext.pyd": "demo"}
    assert survey.binaries[0].extension == "demo.ext"


def test_a_windows_conda_prefix_searches_beside_its_python(tmp_path: Path) -> None:
    site = distribution("demo", {"demo/ext.pyd": (PE / "ext.pyd").read_bytes()}, site="Lib/site-packages")
    files = {"python.exe": (PE / "probe.exe").read_bytes(), "python312.dll": (PE / "python312.dll").read_bytes()}
    library = {"Library/bin/liba.dll": (PE / "liba.dll").read_bytes()}
    lay(tmp_path, {**site, **files, **library, **conda("python", "3.12.4", *files), **conda("liba", "2.0", *library)})
    survey = survey_of(tmp_path)
    assert survey.container.origin == "conda environment, CPython 3.12.4"
    assert owners(survey)["python.exe"] == "python"
    assert owners(survey)["Library/bin/liba.dll"] == "liba"
    assert needs(survey, "demo/ext.pyd")["python312.dll"].how in (How.PROMISED, How.PROVIDED)


def test_a_macos_environment(tmp_path: Path) -> None:
    files = distribution("demo", {"demo/ext.cpython-312-darwin.so": (MACHO / "ext.so").read_bytes()})
    lay(tmp_path, {**files, "pyvenv.cfg": b"home = /Library/Frameworks/Python.framework/Versions/3.12/bin\nversion = 3.12.4\n"})
    survey = survey_of(tmp_path)
    assert (survey.target.os, survey.target.arches) == ("macos", ("arm64",))
    assert [problem.kind for problem in survey.container.problems] == ["interpreter"]


def test_a_copied_environment_says_where_its_python_was(tmp_path: Path) -> None:
    root = venv(tmp_path, DEMO)
    (root / "bin" / "python3.12").unlink()
    (root / "bin" / "python3.12").symlink_to("/nowhere/bin/python3.12")
    survey = survey_of(root)
    (problem,) = survey.container.problems
    assert problem == ("interpreter", "", "is unknown: bin/python3.12 leads to /nowhere/bin/python3.12, which is not there")
    assert survey.target.tag == "linux_x86_64"
    assert survey.global_scope == ()
    assert owners(survey) == {f"demo/{EXT}": "demo", "bin/demo-tool": "demo"}


@pytest.mark.parametrize(
    ("site", "tag", "abi"),
    [
        ("lib/python3.13t/site-packages", "cp313", "cp313t"),
        ("lib/pypy3.10/site-packages", "pp310", ""),
        ("lib64/python3.11/site-packages", "cp311", "cp311"),
    ],
)
def test_the_folder_of_modules_tells_which_python_it_is(tmp_path: Path, site: str, tag: str, abi: str) -> None:
    interpreter = facts_of(lay(tmp_path, distribution("demo", {}, site=site))).interpreter
    assert interpreter is not None
    assert (interpreter.tag, interpreter.abi) == (tag, abi)


def test_of_several_pythons_the_one_that_is_named_counts(tmp_path: Path) -> None:
    for version in ("3.11", "3.12"):
        lay(
            tmp_path,
            {
                f"bin/python{version}": elf("pie"),
                f"lib/python{version}/site-packages/here": b"",
                f"include/python{version}/patchlevel.h": b"",
            },
        )
    lay(tmp_path, {"include/python3.11/patchlevel.h": b'#define PY_VERSION              "3.11.9"\n'})
    facts = facts_of(tmp_path / "bin" / "python3.11")
    assert facts.sites == (f"{tmp_path}/lib/python3.11/site-packages",)
    assert facts.interpreter is not None
    assert facts.interpreter.version == (3, 11, 9)


def test_path_files_of_windows_are_read_on_any_system(tmp_path: Path) -> None:
    module = (PE / "ext.pyd").read_bytes()
    files = distribution("pywin32", {"win32/lib/ext.pyd": module, "pywin32.pth": b"win32\\lib\n"}, site="Lib/site-packages")
    survey = survey_of(lay(tmp_path, {**files, "pyvenv.cfg": b"version = 3.12.1\n", "Scripts/x.txt": b""}))
    assert [binary.extension for binary in survey.binaries] == ["ext"]
    assert owners(survey) == {"win32/lib/ext.pyd": "pywin32"}


# ---- conda


def conda(name: str, version: str, *files: str) -> Files:
    record = {"name": name, "version": version, "build": "0", "files": list(files), "url": f"https://example.org/{name}"}
    return {f"conda-meta/{name}-{version}-0.json": json.dumps(record).encode()}


def conda_prefix(root: Path, *contents: Files) -> Path:
    python = {"bin/python3.12": elf("pie"), "lib/libpython3.12.so.1.0": elf("libb.so")}
    lay(root, {**python, **conda("python", "3.12.4", *python), f"{SITE}/README.txt": b""})
    for files in contents:
        lay(root, files)
    return root


def test_conda_owns_what_its_records_name(tmp_path: Path) -> None:
    files = distribution("Demo-X", {f"demo/{EXT}": elf("ext.so")}, info={"INSTALLER": b"conda\n"})
    library = {"lib/liba.so": elf("liba.so")}
    survey = survey_of(conda_prefix(tmp_path, files, conda("py-demo", "1.0", *files), library, conda("liba", "7", *library)))
    own = {d.name: d for d in survey.container.distributions}
    assert set(own) == {"Demo-X", "liba", "python"}
    assert {d.source for d in own.values()} == {"conda"}
    assert (own["Demo-X"].package, own["Demo-X"].metadata) == ("py-demo-1.0-0", f"{tmp_path}/{SITE}/Demo_X-1.0.dist-info")
    assert own["liba"].metadata == f"{tmp_path}/conda-meta/liba-7-0.json"
    found = owners(survey)
    assert (found[f"demo/{EXT}"], found["lib/liba.so"], found["lib/libpython3.12.so.1.0"]) == ("Demo-X", "liba", "python")


def test_a_library_in_a_conda_prefix_that_no_record_names_is_nobodys(tmp_path: Path) -> None:
    survey = survey_of(conda_prefix(tmp_path, {"lib/liba.so": elf("liba.so")}))
    assert owners(survey)["lib/liba.so"] == "."


def test_what_pip_put_over_condas_files_is_two_distributions(tmp_path: Path) -> None:
    old = distribution("demo", {f"demo/{EXT}": elf("ext.so")}, version="1.0", info={"INSTALLER": b"conda\n"})
    new = distribution("demo", {f"demo/{EXT}": elf("ext.so")}, version="2.0")
    conda_prefix(tmp_path, old, conda("demo", "1.0", *old), new)
    for name in old:
        if "dist-info" in name:
            (tmp_path / name).unlink()
    facts = facts_of(tmp_path)
    assert [(d.name, d.version, d.source) for d in facts.distributions if d.name == "demo"] == [
        ("demo", "1.0", "conda"),
        ("demo", "2.0", "pip"),
    ]
    told = [problem for problem in problems(facts) if problem[0] == "shared-file"]
    assert told == [("shared-file", "demo-2.0.dist-info", f"demo owns demo/{EXT}, which another demo owns, too")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is no JSON object: conda or its successors write another format, or it was cut off"),
        (b"[" * 5000, "is no JSON object: conda or its successors write another format, or it was cut off"),
        (b'{"schema": 9}', "has no name or no list of files: a record of a version that is not known here"),
        (b'{"name": "x", "files": {}}', "has no name or no list of files: a record of a version that is not known here"),
    ],
)
def test_a_record_of_conda_that_makes_no_sense_is_a_problem(tmp_path: Path, data: bytes, message: str) -> None:
    facts = facts_of(conda_prefix(tmp_path, {"conda-meta/odd-1-0.json": data}))
    assert ("metadata", "conda-meta/odd-1-0.json", message) in problems(facts)
    assert [d.name for d in facts.distributions] == ["python"]


def test_a_record_of_conda_owns_nothing_outside_its_prefix(tmp_path: Path) -> None:
    lay(tmp_path, {"liba.so": elf("liba.so")})
    survey = survey_of(conda_prefix(tmp_path / "env", conda("evil", "1", "../liba.so", "/etc/passwd")))
    assert set(owners(survey)) == {"lib/libpython3.12.so.1.0"}


# ---- editable installations


def test_a_path_file_is_followed_and_its_owner_owns_what_it_leads_to(tmp_path: Path) -> None:
    source = lay(
        tmp_path / "project" / "src", {f"demo/{EXT}": elf("ext.so"), ".git/odd.so": elf("liba.so"), "env/pyvenv.cfg": b"", "env/a.so": b""}
    )
    url = json.dumps({"url": f"file://{tmp_path}/project", "dir_info": {"editable": True}}).encode()
    files = distribution("demo", {"_demo.pth": f"# editable\n\n{source}\n/nowhere\nimport os\n".encode()}, info={"direct_url.json": url})
    survey = survey_of(venv(tmp_path / "env", files))
    assert survey.container.distributions[0].editable
    assert survey.container.sites[1:] == (str(source),)
    assert owners(survey) == {f"{source}/demo/{EXT}": "demo"}
    assert [binary.extension for binary in survey.binaries if binary.extension] == ["demo.ext"]


def test_the_finder_of_an_editable_installation_is_followed(tmp_path: Path) -> None:
    source = lay(tmp_path / "project", {f"demo/{EXT}": elf("ext.so")})
    finder = f"MAPPING: dict[str, str] = {{'demo': '{source}/demo'}}\nNAMESPACES: dict = {{}}\n".encode()
    survey = survey_of(venv(tmp_path / "env", distribution("demo", {"__editable___demo_1_0_finder.py": finder})))
    assert owners(survey) == {f"{source}/demo/{EXT}": "demo"}


@pytest.mark.parametrize("start", [False, True])
def test_the_code_of_a_path_file_counts_unless_a_start_file_takes_its_place(tmp_path: Path, start: bool) -> None:
    code = b"import ctypes; ctypes.CDLL('/opt/libx.so')\nlib\n"
    files = {f"{SITE}/a.pth": code, **({f"{SITE}/a.start": b"a:main\n"} if start else {})}
    hints = survey_of(venv(tmp_path, DEMO, files)).hints
    assert [(hint.member, hint.line, hint.argument) for hint in hints] == ([] if start else [("a.pth", 1, "/opt/libx.so")])


def test_a_path_file_that_leads_to_a_whole_disk_is_followed_only_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relocator.containers.environment._MOST_FOLLOWED", 5)
    lay(tmp_path / "disk", {f"{number}.txt": b"" for number in range(9)})
    facts = facts_of(venv(tmp_path / "env", {f"{SITE}/a.pth": f"{tmp_path}/disk\n".encode()}))
    assert ("directory", f"{tmp_path}/disk", "has more than 5 files: not followed") in problems(facts)


def test_a_path_file_that_leads_to_the_root_of_the_disk_is_not_followed(tmp_path: Path) -> None:
    facts = facts_of(venv(tmp_path, {f"{SITE}/a.pth": b"/\n/..\n"}))
    assert problems(facts) == [("directory", "a.pth", "leads to a whole disk")]
    assert len(facts.members) == 1


# ---- what can be broken


def test_a_distribution_without_metadata_is_told_and_keeps_its_folders_name(tmp_path: Path) -> None:
    files = {name: data for name, data in DEMO.items() if not name.endswith("METADATA")}
    facts = facts_of(venv(tmp_path, files))
    assert facts.distributions[0].name == "demo"
    assert problems(facts)[0] == ("metadata", "demo-1.0.dist-info/METADATA", "is missing: the distribution is half removed, or broken")


def test_files_that_a_record_names_and_that_are_gone_are_told_once(tmp_path: Path) -> None:
    root = venv(tmp_path, DEMO)
    (root / SITE / "demo" / EXT).unlink()
    (root / SITE / "demo" / "__init__.py").unlink()
    names = f"demo/{EXT}, demo/__init__.py"
    told = ("missing-file", "demo-1.0.dist-info", f"demo: names {names}, which are not there (2 of 6 files)")
    assert problems(facts_of(root)) == [told]


def test_two_owners_of_one_file_are_told_and_the_later_one_has_it(tmp_path: Path) -> None:
    other = distribution("other", {f"demo/{EXT}": elf("ext.so")})
    survey = survey_of(venv(tmp_path, DEMO, other))
    assert [tuple(p) for p in survey.container.problems] == [
        ("shared-file", "other-1.0.dist-info", f"other owns demo/{EXT}, which demo owns, too")
    ]
    assert owners(survey)[f"demo/{EXT}"] == "other"


def test_what_an_interrupted_uninstallation_left_is_told(tmp_path: Path) -> None:
    facts = facts_of(venv(tmp_path, DEMO, {f"{SITE}/~emo-0.9.dist-info/METADATA": b"Name: demo\n"}))
    assert problems(facts) == [("metadata", "~emo-0.9.dist-info", "is what an interrupted uninstallation left behind")]
    assert len(facts.distributions) == 1


@pytest.mark.parametrize("record", [b"\xff\xfe", b'"open,,\n', b"\0" * 50, b"../../../../../../../etc/passwd,,\n,,\n"])
def test_a_record_that_is_no_table_costs_nothing_but_the_owner(tmp_path: Path, record: bytes) -> None:
    files = distribution("demo", {f"demo/{EXT}": elf("ext.so")}, info={"RECORD": record})
    survey = survey_of(venv(tmp_path, files))
    assert owners(survey) == {f"demo/{EXT}": "."}
    assert {problem.kind for problem in survey.container.problems} <= {"record", "missing-file"}


def test_hashes_are_compared_only_when_asked(tmp_path: Path) -> None:
    root = venv(tmp_path, DEMO)
    (root / SITE / "demo" / "__init__.py").write_bytes(b"changed = True\n")
    assert facts_of(root).problems == ()
    told = ("hash", "demo/__init__.py", "differs from what demo's record says: changed since it was installed")
    assert problems(facts_of(root, hashes=True)) == [told]


def test_a_folder_that_must_not_be_read_hides_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = venv(tmp_path, DEMO, {f"{SITE}/secret/x.so": elf("liba.so")})
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    survey = survey_of(root)
    assert [tuple(p) for p in survey.container.problems] == [("permission", "secret", "Permission denied")]
    assert f"demo/{EXT}" in owners(survey)


def test_links_that_lead_in_circles_are_told_and_end(tmp_path: Path) -> None:
    root = venv(tmp_path / "env", DEMO)
    (root / SITE / "self").symlink_to("self")
    (root / SITE / "up").symlink_to("..")
    (root / SITE / "above").symlink_to(tmp_path)
    found = problems(facts_of(root))
    assert [problem[:2] for problem in found] == [("loop", "above"), ("loop", "self")]


def test_linked_files_of_a_cache_are_taken_as_if_they_lay_here(tmp_path: Path) -> None:
    cache = lay(tmp_path / "cache", {"abc": elf("ext.so")})
    root = venv(tmp_path / "env", distribution("demo", {}))
    (root / SITE / "demo").mkdir()
    (root / SITE / "demo" / EXT).symlink_to(cache / "abc")
    survey = survey_of(root)
    assert [(binary.path, binary.extension) for binary in survey.binaries if binary.extension] == [
        (f"{root}/{SITE}/demo/{EXT}", "demo.ext")
    ]


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("nothing", lambda path: None, "does not exist"),
        ("folder", lambda path: path.mkdir(), "is no environment"),
        ("file.txt", lambda path: path.write_text("x"), "is a file, and not called like a Python executable"),
        ("python3", lambda path: path.write_text("x"), "belongs to no environment"),
        ("a\0b", lambda path: None, "does not exist|cannot be opened"),
    ],
)
def test_what_is_no_environment_is_refused(tmp_path: Path, name: str, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(ContainerError, match=message) as caught:
        open_environment(f"{tmp_path}/{name}")
    assert caught.value.exit_code == 3


def test_files_that_no_loader_maps_are_not_opened(tmp_path: Path) -> None:
    files = distribution("plain", {"plain/a.h": b"", "plain/a.png": b"", "plain/a.bin": b"", "plain/a.py": b"", "plain/LICENSE": b""})
    assert [member.name for member in facts_of(venv(tmp_path, files)).members] == ["plain/a.bin", "bin/python3.12"]


def test_sources_are_read_only_of_distributions_that_have_binaries(tmp_path: Path) -> None:
    code = b"import ctypes\nctypes.CDLL('libx.so')\n"
    plain = distribution("plain", {"plain/a.py": code})
    compiled = distribution("compiled", {f"compiled/{EXT}": elf("ext.so"), "compiled/a.py": code, "compiled/tests/a.py": code})
    assert [hint.member for hint in survey_of(venv(tmp_path, plain, compiled)).hints] == ["compiled/a.py"]


# ---- one process


def test_the_interpreter_is_in_the_process_and_first_in_the_global_scope(tmp_path: Path) -> None:
    survey = survey_of(venv(tmp_path, DEMO))
    assert survey.global_scope[0] == f"{tmp_path}/bin/python3.12"
    assert load_of(survey, "bin/python3.12").order[0] == f"{tmp_path}/bin/python3.12"


def test_another_distributions_library_is_provided(tmp_path: Path) -> None:
    user = distribution("user", {"libs/librpath.so": elf("rpath.so")})
    image = survey_of(venv(tmp_path / "a", user)).binaries[0].images[0]
    folder = next(path.text for path in image.search_paths).replace("$ORIGIN", "libs").replace("${ORIGIN}", "libs")
    library = distribution("provider", {f"{os.path.normpath(folder)}/{image.needed[0].name}": elf("liba.so")})
    survey = survey_of(venv(tmp_path / "b", user, library))
    assert needs(survey, "libs/librpath.so")[image.needed[0].name].how == How.PROVIDED


def test_a_variable_of_the_process_counts_and_what_the_interpreter_loads_is_loaded_already(tmp_path: Path) -> None:
    root = venv(tmp_path, distribution("user", {"libs/librpath.so": elf("rpath.so")}), {"share/liba.so": elf("liba.so")})
    without = survey_of(root)
    assert {needs(without, member)["liba.so"].how for member in ("libs/librpath.so", "bin/python3.12")} == {How.MISSING}
    survey = survey_of(root, environment=(("LD_LIBRARY_PATH", f"{root}/share"),))
    first, later = (needs(survey, member)["liba.so"] for member in ("bin/python3.12", "libs/librpath.so"))
    assert (first.target, first.via) == (f"{root}/share/liba.so", f"LD_LIBRARY_PATH: {root}/share")
    assert (later.target, later.via) == (f"{root}/share/liba.so", "already loaded")


def test_what_is_preloaded_comes_right_after_the_program(tmp_path: Path) -> None:
    root = venv(tmp_path, DEMO, {"lib/libpre.so": elf("libb.so")})
    survey = survey_of(root, environment=(("LD_PRELOAD", f"{root}/lib/libpre.so libnone.so"),))
    assert survey.global_scope[:2] == (f"{root}/bin/python3.12", f"{root}/lib/libpre.so")
    assert len(survey_of(root).global_scope) < len(survey.global_scope)


def test_what_sources_open_globally_is_in_the_global_scope(tmp_path: Path) -> None:
    code = b"import ctypes, os\nctypes.CDLL(\n    os.path.join(os.path.dirname(__file__), 'libb.so'),\n    mode=ctypes.RTLD_GLOBAL,\n)\n"
    both = {"demo/libb.so": elf("libb.so"), f"demo/{EXT}": elf("ext.so")}
    loud = survey_of(venv(tmp_path / "a", distribution("demo", {**both, "demo/__init__.py": code})))
    quiet = survey_of(venv(tmp_path / "b", distribution("demo", {**both, "demo/__init__.py": code.replace(b"RTLD_GLOBAL", b"RTLD_LOCAL")})))
    assert f"{tmp_path}/a/{SITE}/demo/libb.so" in loud.global_scope
    assert not any(path.endswith("libb.so") for path in quiet.global_scope)


def test_a_survey_of_an_environment_pickles(tmp_path: Path) -> None:
    import pickle

    survey = survey_of(venv(tmp_path, DEMO))
    assert pickle.loads(pickle.dumps(survey)) == survey


def test_every_binary_bears_an_owner_that_is_a_distribution(tmp_path: Path) -> None:
    survey = survey_of(conda_prefix(tmp_path, DEMO))
    names = {d.name for d in survey.container.distributions} | {"."}
    assert {binary.owner for binary in survey.binaries if binary.owner} <= names
    assert all(isinstance(binary, Binary) and dataclasses.is_dataclass(binary) for binary in survey.binaries)


def test_what_the_roots_own_package_opens_above_it_is_loaded_before_it(tmp_path: Path) -> None:
    code = b"import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libs', 'libb.so'))\n"
    files = {"demo/__init__.py": code, f"demo/{EXT}": elf("ext.so"), "demo/libs/libb.so": elf("libb.so")}
    survey = survey_of(venv(tmp_path / "a", distribution("demo", files)))
    need = needs(survey, f"demo/{EXT}")["libb.so"]
    assert (need.how, need.via) == (How.BUNDLED, "already loaded: opened by Python source")
    other = distribution("other", {"other/__init__.py": code.replace(b"dirname(__file__)", b"dirname(__file__), '..', 'demo'")})
    files.pop("demo/__init__.py")
    survey = survey_of(venv(tmp_path / "b", distribution("demo", files), other))
    assert needs(survey, f"demo/{EXT}")["libb.so"].how == How.MISSING, "what another package opens depends on the order of imports"


@pytest.mark.parametrize(("requires", "found"), [("provider>=1", How.PROVIDED), ("unrelated", How.MISSING)])
def test_dll_directories_count_for_what_requires_their_distribution(tmp_path: Path, requires: str, found: How) -> None:
    site = "Lib/site-packages"
    code = b"import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), 'bin'))\n"
    liba, image = (PE / "liba.dll").read_bytes(), (PE / "ext.pyd").read_bytes()
    provider = distribution(
        "provider", {"provider/__init__.py": code, "provider/bin/liba.dll": liba, "provider/bin/libb.dll": liba}, site=site
    )
    user = distribution("user", {"user/ext.pyd": image}, site=site, Requires_Dist=requires)
    survey = survey_of(lay(tmp_path, {**provider, **user, "pyvenv.cfg": b"version = 3.12.1\n", "Scripts/x.txt": b""}))
    hows = {name.lower(): need.how for name, need in needs(survey, "user/ext.pyd").items() if name.lower().startswith("lib")}
    assert hows
    assert set(hows.values()) == {found}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(
        [
            *("pyvenv.cfg", "conda-meta/a-1-0.json", f"{SITE}/a.pth", f"{SITE}/__editable___a_finder.py", f"{SITE}/a.egg-info"),
            *(f"{SITE}/a-1.dist-info/{file}" for file in ("METADATA", "RECORD", "INSTALLER", "direct_url.json", "top_level.txt")),
            *(f"{SITE}/a/{file}" for file in ("x.so", "x.py")),
        ]
    ),
    data=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from(
            [b"MAPPING = {'a': ['b', 3, ['c']]}", b'{"name": "a", "files": [3, "a\\u0000b", "lib/x.so"], "paths_data": {"paths": [3]}}']
        ),
        st.sampled_from(
            [
                b'{"url": 3}',
                b'{"url": "file://[", "dir_info": {"editable": true}}',
                b"a\0b\n../../../../..\n",
                b"home = \0\nversion = x.y.z\n",
            ]
        ),
    ),
)
def test_no_file_of_an_environment_can_make_it_fail(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    root = venv(tmp_path_factory.mktemp("env"), DEMO)
    lay(root, {name: data})
    assert f"demo/{EXT}" in owners(survey_of(root))
