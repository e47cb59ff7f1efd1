"""What a repair leaves as it was: exactly what options ask for, told in the plan, and never otherwise by an audit of the result."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from builders import wheel
from conftest import FIXTURES
from pe_bytes import Draft
from relocator.findings import Finding, Severity
from relocator.plans import ReplaceNeeded
from relocator.repairs import CopyIn, Left, Outcome, Provider, RepairOptions
from repaired import LINUX, Done, audited, edited, repaired, written
from small_elf import elf_file, elf_module

CORE = "demo/_core.so"
INFO = "demo-1.0.dist-info"
FOO, BAR = "libfoo.so.3", "libbar.so"
LIBRARIES = {FOO: elf_file(BAR, soname=FOO), BAR: elf_file(soname=BAR)}
MUSL = "cp312-cp312-musllinux_1_2_x86_64"
WINDOWS = "cp312-cp312-win_amd64"


def core(*needs: str, **facts: object) -> dict[str, bytes]:
    return {CORE: elf_module(*needs, **facts)}


def requiring(*names: str) -> dict[str, bytes]:
    lines = "".join(f"Requires-Dist: {name}\n" for name in names)
    return {f"{INFO}/METADATA": f"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n{lines}".encode()}


def grave(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    """Return rule and value of what is more than a note."""
    return {(finding.rule, finding.primary.value) for finding in findings if finding.severity > Severity.NOTE}


def copied(done: Done) -> list[str]:
    return [Path(action.origin.path).name for action in done.plan.actions if isinstance(action, CopyIn)]


# ---- options


LEAVING: Mapping[str, tuple[dict[str, bytes], dict[str, object], set[tuple[str, str]]]] = {
    "--keep-execstack": (core(stack=7), {"keep_execstack": True}, {("executable-stack", "RWE")}),
    "--exclude": (core(FOO), {"exclude": (FOO,)}, {("missing-library", FOO)}),
    "--exclude, of what is brought in": (core(FOO), {"exclude": ("libbar*",)}, {("missing-library", BAR)}),
    "--allow-missing": (core(FOO, "libgone.so"), {"allow_missing": True}, {("missing-library", "libgone.so")}),
    "--no-update-tags": (
        core("libc.so.6", versions={"libc.so.6": ["GLIBC_2.34"]}),
        {"update_tags": False},
        {("newer-glibc-than-tag", "GLIBC_2.34")},
    ),
}


@pytest.mark.parametrize("option", LEAVING)
def test_what_an_option_leaves_is_all_that_an_audit_flags_afterwards(option: str, tmp_path: Path) -> None:
    files, options, expected = LEAVING[option]
    bad = core(FOO, "libc.so.6", rpath="/tmp/x:$ORIGIN/../demo", stack=6)[CORE]
    path = written(tmp_path, {**files, "demo/other.so": bad}, libraries=LIBRARIES)
    before = grave(audited(path))
    assert ("writable-search-path", "/tmp/x") in before
    done = repaired(path, RepairOptions(**options))  # type: ignore[arg-type]
    assert grave(audited(done.output)) == grave(done.result.remaining) == expected
    again = repaired(done.output, RepairOptions(**options))  # type: ignore[arg-type]
    assert again.result.outcome == Outcome.COPIED
    assert grave(again.result.remaining) == expected


def test_without_the_option_nothing_is_left(tmp_path: Path) -> None:
    path = written(tmp_path, core(FOO, stack=7), libraries=LIBRARIES)
    assert grave(repaired(path).result.remaining) == set()


def test_an_executable_stack_that_stays_is_told_and_one_that_is_brought_in_stays_too(tmp_path: Path) -> None:
    path = written(tmp_path, core(FOO), libraries={FOO: elf_file(soname=FOO, stack=7)})
    done = repaired(path, RepairOptions(keep_execstack=True))
    assert any("--keep-execstack" in remark for remark in done.plan.remarks)
    assert {finding.rule for finding in done.result.remaining if finding.severity > Severity.NOTE} == {"executable-stack"}
    assert not grave(repaired(path).result.remaining)


# ---- libraries that stay outside


def test_what_is_left_is_told_by_member_of_the_finished_wheel(tmp_path: Path) -> None:
    path = written(tmp_path, core(FOO), libraries=LIBRARIES)
    done = repaired(path, RepairOptions(exclude=(BAR,)))
    (member,) = done.named("demo.libs/libfoo")
    assert done.plan.left == (Left(BAR, (member,), f"--exclude {BAR}"),)
    assert {finding.primary.member for finding in done.result.remaining if finding.rule == "missing-library"} == {member}


@pytest.mark.parametrize(
    ("path", "rules"), [("$ORIGIN/../torch/lib", {"escaping-search-path", "left-to-dependency"}), ("", {"left-to-dependency"})]
)
def test_what_a_dependency_ships_is_left_to_it_without_an_option_and_an_audit_says_the_same(
    path: str, rules: set[str], tmp_path: Path
) -> None:
    wheel = written(tmp_path, {**core("libc10.so", runpath=path), **requiring("torch")})
    done = repaired(wheel)
    why = "known to be shipped by torch, which Requires-Dist names"
    assert done.plan.left == (Left("libc10.so", (CORE,), why),)
    after = [finding for finding in audited(done.output) if finding.rule != "weak-hardening"]
    assert {finding.rule for finding in after} == rules
    assert why in {finding.primary.label for finding in after}
    assert {finding.severity for finding in after} == {Severity.NOTE}


def test_what_no_dependency_ships_is_refused(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, {**core("libc10.so"), **requiring("numpy")}))
    assert "libc10.so: nowhere to be found" in done.refusals


def provider(folder: Path) -> Path:
    """A wheel of another distribution that brings the library."""
    path = folder / "foo_lib-1.0-py3-none-manylinux_2_17_x86_64.whl"
    path.write_bytes(wheel({"foo/lib/libfoo.so.3": LIBRARIES[FOO]}, "foo_lib", tags=["py3-none-manylinux_2_17_x86_64"]))
    return path


def test_the_limit_of_split_sites_is_named_where_another_distribution_provides(tmp_path: Path) -> None:
    path = written(tmp_path, {**core(FOO), **requiring("foo-lib")}, libraries=LIBRARIES)
    options = RepairOptions(provided_by=(Provider("foo-lib", str(provider(tmp_path))),))
    done = repaired(path, options)
    assert done.plan.left == (Left(FOO, (CORE,), "--provided-by foo-lib"),)
    told = [remark for remark in done.plan.remarks if "user site" in remark]
    assert len(told) == 1
    assert told[0].startswith("--provided-by foo-lib: ")
    assert copied(done) == []
    assert grave(audited(done.output)) == set()
    assert "left-to-dependency" in {finding.rule for finding in done.result.remaining}
    again = repaired(done.output, options)
    assert (again.result.outcome, again.plan.left) == (Outcome.COPIED, done.plan.left)
    assert told[0] in again.plan.remarks


def test_no_limit_is_named_where_nothing_is_provided(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core(FOO), libraries=LIBRARIES))
    assert not [remark for remark in done.plan.remarks if "user site" in remark]


# ---- Python's own library


def pyd(*needs: str) -> dict[str, bytes]:
    made = Draft().exports(b"_core.pyd", [(b"PyInit__core", 0)]).imports(*((need.encode(), [b"value"]) for need in needs)).build()
    return {"demo/_core.cp312-win_amd64.pyd": made}


def test_the_dll_of_the_running_python_is_neither_left_nor_said_to_remain(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, pyd("python312.dll", "KERNEL32.dll"), WINDOWS))
    assert done.result.outcome == Outcome.COPIED
    assert (done.plan.left, done.plan.remarks, done.result.remaining) == ((), (), ())


def test_that_of_another_python_is_what_an_audit_says_of_it_alone(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, pyd("python311.dll", "KERNEL32.dll"), WINDOWS))
    assert done.plan.left == ()
    assert {finding.rule for finding in done.result.remaining} == {"wrong-python-dll"}


def test_a_module_no_longer_names_libpython_and_a_program_that_embeds_it_is_told_of(tmp_path: Path) -> None:
    program = edited((FIXTURES / "bin/elf/x86_64/pie").read_bytes(), ReplaceNeeded("liba.so", "libpython3.12.so.1.0"))
    done = repaired(written(tmp_path, {**core("libpython3.12.so.1.0"), "demo/bin/tool": program}))
    assert done.plan.left == (Left("libpython3.12.so.1.0", ("demo/bin/tool",), "the interpreter itself"),)
    remaining = {(f.rule, f.primary.member) for f in done.result.remaining if f.primary.value == "libpython3.12.so.1.0"}
    assert remaining == {("missing-library", "demo/bin/tool")}


# ---- libraries that the target promises and that are doubted


@pytest.mark.parametrize(
    ("need", "facts"),
    [("libnsl.so.1", {}), ("libcrypt.so.1", {}), ("libz.so.1", {"asks": ["inflate_table"]})],
)
def test_a_doubted_library_is_brought_in_where_it_is_found_and_counts_for_the_tag(
    need: str, facts: dict[str, Sequence[str]], tmp_path: Path
) -> None:
    found = elf_file("libc.so.6", soname=need, gives=facts.get("asks", ()), versions={"libc.so.6": ["GLIBC_2.33"]})
    done = repaired(written(tmp_path, core(need, **facts), libraries={need: found}))
    assert copied(done) == [need]
    assert done.tag == "cp312-cp312-manylinux_2_34_x86_64"
    assert [finding for finding in done.result.remaining if finding.severity > Severity.NOTE] == []
    assert repaired(done.output).result.outcome == Outcome.COPIED


def test_a_library_without_refused_symbols_stays_with_the_target_although_it_is_found(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core("libz.so.1", asks=["inflate"]), libraries={"libz.so.1": elf_file(soname="libz.so.1")}))
    assert copied(done) == []
    assert "manylinux_2_17_x86_64" in done.tag


def test_a_dropped_library_that_is_not_found_is_left_to_the_tag_and_said(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core("libnsl.so.1")))
    assert [remark for remark in done.plan.remarks if "libnsl.so.1, which newer systems do not have" in remark]
    assert grave(done.result.remaining) == {("retired-system-library", "libnsl.so.1")}


def test_a_library_whose_private_symbols_no_tag_allows_is_asked_for_where_it_is_not_found(tmp_path: Path) -> None:
    done = repaired(written(tmp_path, core("libz.so.1", asks=["inflate_table"])))
    assert done.result.outcome == Outcome.FAILED
    assert "inflate_table of libz.so.1" in done.refusals
    assert "let libz.so.1 be brought in: `--search DIR` names the folder" in done.refusals


# ---- another C library

GLIBC, MUSLS = elf_file("libc.so.6", soname=FOO), elf_file("libc.musl-x86_64.so.1", soname=FOO)


@pytest.mark.parametrize(
    ("tag", "other", "libc"), [(MUSL, GLIBC, "glibc"), (LINUX, MUSLS, "musl"), ("cp312-cp312-android_24_x86_64", GLIBC, "glibc")]
)
def test_a_library_for_another_c_library_is_passed_over_and_named(tag: str, other: bytes, libc: str, tmp_path: Path) -> None:
    path = written(tmp_path, core(FOO), tag, {FOO: other})
    done = repaired(path)
    assert done.result.outcome == Outcome.FAILED
    assert f"libfoo.so.3 (other C library: {libc})" in done.refusals
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / FOO).write_bytes(elf_file(soname=FOO))
    good = repaired(path, search=[tmp_path / "good"])
    assert [action.origin.path for action in good.plan.actions if isinstance(action, CopyIn)] == [str(tmp_path / "good" / FOO)]


@pytest.mark.parametrize(("tag", "right"), [(MUSL, MUSLS), (LINUX, GLIBC)])
def test_a_library_for_the_wheels_own_c_library_is_taken(tag: str, right: bytes, tmp_path: Path) -> None:
    assert copied(repaired(written(tmp_path, core(FOO), tag, {FOO: right}))) == [FOO]


@pytest.mark.parametrize("item", [FOO, "libfoo*"])
def test_so_is_one_that_is_asked_for(item: str, tmp_path: Path) -> None:
    path = written(tmp_path, core(), MUSL, {FOO: GLIBC})
    done = repaired(path, RepairOptions(include=(item,)))
    assert f"--include {item} was not found" in done.refusals
    by_path = repaired(path, RepairOptions(include=(str(tmp_path / "lib" / FOO),)))
    assert "was linked with another C library: glibc" in by_path.refusals
