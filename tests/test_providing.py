"""Which libraries other distributions bring, out of wheels and out of environments."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import pe_bytes
from builders import SITE, WINDOWS, archive, record_hash, wheel
from relocator.containers import open_container
from relocator.model import ContainerFacts, Distribution, How
from relocator.providing import Library, Provided, provided_by
from relocator.reading import read_container
from relocator.repairs import Provider, RepairOptions, RepairRefused, Sought
from relocator.survey import survey_for_repair
from relocator.tags import targets_of
from relocator.target import Target

TAG = "py3-none-win_amd64"
DLL = pe_bytes.library()


def facts(*requires: str) -> ContainerFacts:
    return ContainerFacts("wheel", "demo.whl", (Distribution("demo", "1.0", requires),))


def put_wheel(folder: Path, files: Mapping[str, bytes], version: str = "1.0", tag: str = TAG, name: str = "foo_lib") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    path.write_bytes(wheel(files, name, version, [tag]))
    return path


def put_environment(prefix: Path, files: Mapping[str, bytes], name: str = "Foo_Lib", folder: str = "Lib/site-packages") -> Path:
    """A virtual environment as an installer leaves it behind; names are relative to its folder of modules."""
    site = prefix / folder
    info = f"{name}-1.0.dist-info"
    contents = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()}
    contents[f"{info}/RECORD"] = "".join(f"{path},{record_hash(data)},{len(data)}\n" for path, data in contents.items()).encode()
    for path, data in contents.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    (prefix / "pyvenv.cfg").write_text("version = 3.12.1\n")
    return prefix


def libraries(
    *providers: Provider, requires: tuple[str, ...] = ("Foo.Lib>=1",), search: tuple[str, ...] = (), environment: Path | str = ""
) -> tuple[Library, ...]:
    return provided_by(providers, facts(*requires), WINDOWS, search, environment=str(environment)).found


def refusal(*providers: Provider, **given: object) -> str:
    with pytest.raises(RepairRefused) as refused:
        libraries(*providers, **given)  # type: ignore[arg-type]
    assert refused.value.exit_code == 4
    assert all(reason.hint for reason in refused.value.reasons)
    return refused.value.message


ONE = Provider("foo-lib")
EXPECTED = (Library("any.dll", f"{SITE}/foo/bin/foo.dll", "foo-lib"), Library("foo.dll", f"{SITE}/foo/bin/foo.dll", "foo-lib"))
FILES = {"foo/bin/foo.dll": DLL, "foo/__init__.py": b"", "foo/x86.dll": pe_bytes.library(machine=pe_bytes.I386), "foo/cut.dll": DLL[:80]}


def test_the_libraries_of_a_wheel_are_known_by_file_and_identity(tmp_path: Path) -> None:
    path = put_wheel(tmp_path, FILES)
    assert libraries(ONE._replace(path=str(path))) == EXPECTED


def test_those_of_an_environment_lie_where_they_would_beside_the_wheel(tmp_path: Path) -> None:
    prefix = put_environment(tmp_path / "my env", FILES)
    assert libraries(ONE._replace(path=str(prefix))) == EXPECTED
    assert libraries(ONE, environment=prefix) == EXPECTED
    assert libraries(ONE, environment=prefix / "Lib/site-packages") == EXPECTED


def test_the_newest_wheel_of_a_search_folder_comes_before_the_environment(tmp_path: Path) -> None:
    for version in ("1.9", "1.10", "1.10rc1"):
        put_wheel(tmp_path / "wheels", {f"foo/v{version}.dll": DLL}, version)
    put_wheel(tmp_path / "wheels", {"foo/mac.dylib": b""}, "2.0", "py3-none-macosx_11_0_arm64")
    put_wheel(tmp_path / "wheels", {"foo/x86.dll": b""}, "2.0", "py3-none-win32")
    put_wheel(tmp_path / "wheels", {"other/other.dll": DLL}, "9.0", name="other")
    prefix = put_environment(tmp_path / "env", FILES)
    found = libraries(ONE, search=(str(tmp_path / "none"), str(tmp_path / "wheels")), environment=prefix)
    assert {library.path for library in found} == {f"{SITE}/foo/v1.10.dll"}


def test_what_is_not_required_is_refused_with_what_to_add(tmp_path: Path) -> None:
    path = put_wheel(tmp_path, FILES)
    told = refusal(ONE._replace(path=str(path)), requires=("numpy", "not a requirement =="))
    assert "demo does not require foo-lib" in told


def test_what_is_not_found_is_refused_with_where_it_was_looked_for(tmp_path: Path) -> None:
    put_wheel(tmp_path / "wheels", FILES, tag="py3-none-win32")
    prefix = put_environment(tmp_path / "env", {"bar/bar.dll": DLL}, "bar")
    told = refusal(ONE, search=(str(tmp_path / "wheels"),), environment=prefix)
    assert told == (
        f"--provided-by foo-lib: was not found: no fitting wheel of it lies in {tmp_path}/wheels, it is not installed in {prefix}"
    )
    assert "there is no environment to look into" in refusal(ONE)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("other-1.0-py3-none-win_amd64.whl", "is no wheel of it"),
        ("foo_lib-1.0-py3-none-win_amd64.whl", "cannot"),
        ("notes.txt", "is a file"),
        ("nothing", "does not exist"),
        ("empty/", "is no environment"),
    ],
)
def test_a_path_that_is_neither_a_wheel_of_it_nor_an_environment_is_refused(tmp_path: Path, made: str, told: str) -> None:
    path = tmp_path / made
    if made.endswith("/"):
        path.mkdir()
    elif made != "nothing":
        path.write_bytes(b"PK\3\4 and nothing more" if made.startswith("foo") else wheel({}) if made.endswith("whl") else b"text")
    message = refusal(ONE._replace(path=str(path)))
    assert message.startswith("--provided-by foo-lib: ")
    assert told in message or (told == "cannot" and made in message)


def test_one_without_a_library_for_the_target_is_refused(tmp_path: Path) -> None:
    path = put_wheel(tmp_path, {"foo/x86.dll": FILES["foo/x86.dll"], "foo/note.txt": b"text"})
    assert "brings no library for amd64" in refusal(ONE._replace(path=str(path)))


def test_all_reasons_are_told_at_once() -> None:
    told = refusal(ONE, Provider("bar"), requires=("foo-lib",))
    assert "foo-lib: was not found" in told
    assert "does not require bar" in told


def test_a_record_that_names_what_is_gone_or_no_file_brings_nothing_of_it(tmp_path: Path) -> None:
    prefix = put_environment(tmp_path / "env", FILES)
    record = prefix / "Lib/site-packages/Foo_Lib-1.0.dist-info/RECORD"
    record.write_bytes(record.read_bytes() + b"foo/gone.dll,,\nfoo,,\n../../../../../../etc/passwd,,\n")
    assert libraries(ONE, environment=prefix) == EXPECTED


# ---- in a repair


def surveyed(folder: Path, provider: Path, *needs: str, search: tuple[str, ...] = ()) -> dict[str, tuple[How, str | None, str]]:
    name = "demo-1.0-cp312-cp312-win_amd64.whl"
    info = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: foo-lib\n"
    files = {"demo/_core.pyd": pe_bytes.library(*needs), "demo-1.0.dist-info/METADATA": info}
    (folder / name).write_bytes(wheel(files, tags=["cp312-cp312-win_amd64"]))
    with open_container(str(folder / name)) as container:
        reading = read_container(container, None)
        about = container.facts()
    options = RepairOptions(provided_by=(ONE._replace(path=str(provider)),))
    found = survey_for_repair(about, reading, targets_of(about, "")[0], options, Sought(search=search, host=False))
    return {r.needed.name: (r.how, r.target, r.via) for load in found.loads for r in load.resolutions}


def test_a_need_is_met_by_the_other_distribution_without_a_copy(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/foo.dll").write_bytes(DLL)
    path = put_wheel(tmp_path, FILES)
    found = surveyed(tmp_path, path, "FOO.dll", search=(str(tmp_path / "bin"),))
    assert found == {"FOO.dll": (How.PROVIDED, f"{SITE}/foo/bin/foo.dll", "--provided-by foo-lib")}


def test_a_library_out_of_reach_is_refused_only_when_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / f"foo_lib-1.0-{TAG}.whl"
    path.write_bytes(
        archive(
            {
                "foo/bin/foo.dll": DLL,
                "foo_lib-1.0.data/data/bin/far.dll": pe_bytes.Draft().exports(b"far.dll", [(b"value", 0)]).build(),
                "foo_lib-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: foo-lib\nVersion: 1.0\n",
                "foo_lib-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
            }
        )
    )
    assert surveyed(tmp_path, path, "foo.dll")["foo.dll"][0] == How.PROVIDED
    with pytest.raises(RepairRefused) as refused:
        surveyed(tmp_path, path, "FAR.dll")
    assert "it brings far.dll as " in refused.value.message
    assert "outside site-packages" in refused.value.message


def test_what_an_environment_has_outside_its_folder_of_modules_keeps_its_path(tmp_path: Path) -> None:
    prefix = put_environment(tmp_path / "env", {"foo/bin/foo.dll": DLL, "../../bin/far.dll": DLL})
    found = provided_by((ONE,), facts("foo-lib"), WINDOWS, environment=str(prefix))
    assert ("far.dll", f"{prefix}/bin/far.dll") in {(library.name, library.path) for library in found.found}
    assert {path for _, path, _ in found.libraries} == {f"{SITE}/foo/bin/foo.dll"}


def test_nothing_is_provided_by_nobody() -> None:
    assert provided_by((), facts(), Target("", "")) == Provided()
