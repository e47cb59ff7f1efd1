"""wrong-mode: permissions that do not fit what a member is."""

import pytest

from builders import WINDOWS, binary, elf, macho, member, pe, survey
from relocator.model import Image, Role, Survey
from relocator.rules.wrong_mode import check
from relocator.target import Target

PLAIN = (member("demo/a.py"), member("demo/b.py"), member("demo/c.py"))


def one(mode: int, name: str = "demo/data.bin", image: Image | None = None) -> Survey:
    binaries = [binary(name, image, role=Role.PROGRAM)] if image else []
    return survey(*binaries, members=(*PLAIN, member(name, mode=mode)))


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (0o100600, "may be read by its owner alone"),
        (0o100700, "may be read by its owner alone"),
        (0o100640, "may not be read by everybody"),
        (0o100000, "may not be read by anybody"),
        (0o100044, "may not be read by its owner"),
        (0o100666, "may be written by everybody"),
        (0o100777, "may be written by everybody"),
        (0o104755, "has a bit that only installed system programs have a use for"),
    ],
)
def test_flags(mode: int, message: str) -> None:
    (finding,) = check(one(mode))
    assert (finding.message, finding.primary.value) == (message, f"{mode & 0o7777:03o}")


@pytest.mark.parametrize("mode", [0, 0o100644, 0o100664, 0o100755, 0o100775, 0o100555, 0o644])
def test_is_silent_about(mode: int) -> None:
    assert list(check(one(mode))) == []


@pytest.mark.parametrize("image", [elf(kind="program"), macho(kind="program")])
def test_flags_a_program_that_may_not_be_executed(image: Image) -> None:
    (finding,) = check(one(0o100644, "demo/bin/server", image))
    assert finding.message == "is a program, and may not be executed"
    assert list(check(one(0o100755, "demo/bin/server", image))) == []


@pytest.mark.parametrize(("name", "told"), [("demo-1.0.data/scripts/tool", True), ("demo-1.0.data/data/scripts/tool", False)])
def test_flags_a_script_that_may_not_be_executed(name: str, told: bool) -> None:
    assert bool(list(check(one(0o100644, name)))) == told


@pytest.mark.parametrize(
    ("name", "image"),
    [("demo/libc.so.6", elf(kind="program")), ("demo/cli.exe", pe()), ("demo/_core.so", elf())],
)
def test_what_is_no_program_for_such_a_system_needs_no_execute_bit(name: str, image: Image) -> None:
    assert list(check(one(0o100644, name, image))) == []


def test_a_wheel_made_on_windows_is_fine() -> None:
    members = (*(member(f"demo/{n}.py", mode=0o100666) for n in "abc"), member("demo-1.0.dist-info/RECORD", mode=0o100664))
    assert list(check(survey(members=members, target=Target("any", "any")))) == []
    assert list(check(survey(members=(*PLAIN, *members[:1]), target=WINDOWS))) == []
