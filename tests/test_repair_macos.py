"""How macOS libraries are placed and wired: decision tables in memory, and the edits carried out on real Mach-O bytes."""

import dataclasses
import posixpath
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MACOS, SITE, binary, macho, member, survey
from linked import Files
from macho_bytes import ARM64, X86_64, Shape, command, dylib, fat, rpath, segment, signed
from macho_bytes import macho as written
from oracle.macho_signatures import faults, slices
from relocator.backends.macos import check_layout, load, prepare, promises, read
from relocator.backends.macos.room import lacking
from relocator.backends.macos.verify import differences
from relocator.containers import open_container
from relocator.errors import UnreadableBinary
from relocator.loading import Process
from relocator.model import PREFIX, Binary, ContainerFacts, How, Image, Needed, NeedKind, Role, Survey
from relocator.native import Dylib, MachOFacts, Signature
from relocator.plans import Edit, EditRefused, ReplaceNeeded, Resign, SetIdentity, SetSearchPaths, apply_patches
from relocator.projection import edited, loader_view
from relocator.reading import read_container
from relocator.repair import is_kept, plan_repair
from relocator.repair.macos import wire
from relocator.repair.wiring import Link, Placed, Request, Taken, Wired
from relocator.repairs import Action, AddFile, CopyIn, EditBinary, RepairOptions, SetMode, Sought
from relocator.survey import survey_for_repair
from relocator.tags import targets_of

BREW = "/opt/homebrew/lib"
ROOMY = 4096
SDK = (15, 0)  # files of older ones find the system's libraries by their base names
UNIVERSAL = dataclasses.replace(MACOS, tag="macosx_11_0_universal2", floors=(("x86_64", (11, 0)), ("arm64", (11, 0))), universal=True)
BIN = Path(__file__).parent / "fixtures" / "bin" / "macho"


# ---------------------------------------------------------------- what is asked


def ext(*needed: str | Needed, at: str = "demo/_core.so", room: int = ROOMY, **facts: object) -> Binary:
    """An extension module of the wheel."""
    made = macho(*needed, name_room=room, sdk=SDK, signature=Signature("adhoc", "x", 2, 4096), **facts)  # type: ignore[arg-type]
    return binary(at, made, extension=at.removesuffix(".so").replace("/", "."))


def own(at: str, *needed: str | Needed, name: str = "", role: Role = Role.IMPORTED, room: int = ROOMY, **facts: object) -> Binary:
    """A library of the wheel."""
    made = slice_of(name or f"@rpath/{posixpath.basename(at)}", *needed, room=room, **facts)  # type: ignore[arg-type]
    return binary(at, made, role=role)


def slice_of(name: str, *needed: str | Needed, room: int = ROOMY, arch: str = "arm64", **facts: object) -> Image:
    identity = Dylib(name, "LC_ID_DYLIB", 0, 0)
    values: dict[str, object] = {"file_type": 6, "sdk": SDK, "signature": Signature("adhoc", "x", 2, 4096), **facts}
    return macho(*needed, arch=arch, install_name=name, kind="library", identity=identity, name_room=room, **values)  # type: ignore[arg-type]


def lib(path: str, *needed: str | Needed, name: str = "", room: int = ROOMY, **facts: object) -> Binary:
    """A library of this machine."""
    made = slice_of(name or path, *needed, room=room, **facts)  # type: ignore[arg-type]
    return Binary(path, path, (made,), sha256="ab" * 32, role=Role.IMPORTED)


def taken(one: Binary, digest: str = "0123abcd", *, wanted: bool = False, renamed: bool = True) -> Taken:
    return Taken(one, "--search", digest, wanted, renamed and not wanted)


def request(
    *binaries: Binary,
    take: Iterable[Taken] = (),
    given_: Mapping[str, str] | None = None,
    members: Iterable[str] = ("demo/__init__.py",),
    target: object = MACOS,
    name: str = "demo",
    provided: Iterable[Binary] = (),
    **options: object,
) -> Request:
    """A Request whose links are dyld's answers inside the wheel, then `given_` by need, then the taken file of that path or name."""
    took = tuple(take)
    answers = {item.binary.path: item.binary.path for item in took}
    answers |= {f"@rpath/{posixpath.basename(item.binary.path)}": item.binary.path for item in took}
    answers |= dict(given_ or {})
    files = [*binaries, *(item.binary for item in took)]
    facts = survey(
        *files,
        target=target,  # type: ignore[arg-type]
        promises=[],
        members=tuple(member(one) for one in dict.fromkeys((*(b.member for b in binaries), *members))),
    )
    if name != "demo":
        facts = _named(facts, name)
    links = [link for one in files for image in one.images for link in _links(one, image, binaries, answers, list(provided))]
    return Request(facts, {}, RepairOptions(**options), took, tuple(links))  # type: ignore[arg-type]


def _named(found: Survey, name: str) -> Survey:
    container: ContainerFacts = found.container
    distribution = container.distributions[0]
    subject = container.subject.replace("demo", name.replace("-", "_"))
    changed = dataclasses.replace(container, subject=subject, distributions=(dataclasses.replace(distribution, name=name),))
    binaries = tuple(dataclasses.replace(b, owner=name) if b.owner else b for b in found.binaries)
    return dataclasses.replace(found, container=changed, binaries=binaries)


def _links(one: Binary, image: Image, inside: Iterable[Binary], answers: Mapping[str, str], provided: list[Binary]) -> Iterable[Link]:
    process = Process(MACOS, promises(MACOS, image.arch))
    world = Files(*inside)
    others = {b.path for b in provided}
    met = {r.needed: r for r in load(one, image.arch, world, process).resolutions if r.importer == one.path} if one.owner else {}
    for need in dict.fromkeys(image.needed):
        resolution = met.get(need)
        if resolution is not None and resolution.how in (How.BUNDLED, How.PROMISED):
            yield Link(one.path, need, image.arch, resolution.target or "", resolution.how, resolution.via, True)
        elif target := answers.get(need.name, ""):
            how = How.PROVIDED if target in others else How.BUNDLED if target.startswith(PREFIX) else How.OUTSIDE
            yield Link(one.path, need, image.arch, target, how, "--search", False)
        else:
            yield Link(one.path, need, image.arch, "", How.PROMISED, "promised", False)


def edits(wired: Wired, path: str = f"{SITE}/demo/_core.so") -> tuple[Edit, ...]:
    return next((one.edits for one in wired.edited if one.path == path), ())


def because(wired: Wired, path: str = f"{SITE}/demo/_core.so") -> str:
    return next(one.because for one in wired.edited if one.path == path)


def places(wired: Wired) -> dict[str, str]:
    return {placed.path: placed.member for placed in wired.placed}


def finished(asked: Request, wired: Wired) -> tuple[Binary, ...]:
    """The binaries of the finished wheel, by projection."""
    where, changed = places(wired), {one.path: one.edits for one in wired.edited}
    found = []
    for one in asked.survey.binaries:
        if one.owner or one.path in where:
            at = where.get(one.path, one.member)
            images = tuple(edited(image, changed.get(one.path, ())) for image in one.images)
            found.append(
                dataclasses.replace(one, member=at, path=f"{SITE}/{at}" if one.path in where else one.path, images=images, owner="demo")
            )
    return tuple(found)


def check_whole(asked: Request, **options: object) -> tuple[Wired, tuple[Binary, ...]]:
    """Wire, and let dyld's model load every file alone: each need that had a target gets a file of the wheel. A second run does nothing."""
    wired = wire(asked)
    assert wired.refusals == ()
    after = finished(asked, wired)
    world = Files(*after)
    for one in after:
        for image in one.images:
            own_needs = [
                r for r in load(one, image.arch, world, Process(MACOS, promises(MACOS, image.arch))).resolutions if r.importer == one.path
            ]
            assert {r.how for r in own_needs} <= {How.BUNDLED, How.PROMISED}, [(r.needed, r.tried) for r in own_needs]
            names = [need.name for need in image.needed] + [image.identity]
            assert len(names) == len(set(names))
    again = request(*after, **options)  # type: ignore[arg-type]
    assert wire(again) == Wired(remarks=wire(again).remarks)
    return wired, after


# ---------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("files", "name", "sdir", "expected"),
    [
        (["demo/__init__.py", "demo/_core.so"], "demo", "", "demo/.dylibs"),
        (["demo/_core.so"], "demo", "", "demo/.dylibs"),  # no __init__.py, and nobody else's name
        (["other/__init__.py", "demo/__init__.py", "demo/_core.so"], "demo", "", "demo/.dylibs"),
        (["aaa/__init__.py", "zmq/__init__.py", "zmq/_core.so"], "pyzmq", "", "zmq/.dylibs"),
        (["aaa/__init__.py", "bbb/__init__.py", "_core.so"], "pyzmq", "", "aaa/.dylibs"),
        (["scikit_demo/__init__.py", "aaa/__init__.py", "aaa/_core.so"], "Scikit-Demo", "", "scikit_demo/.dylibs"),
        (["_core.so"], "demo", "", "demo.dylibs"),
        (["ns/_core.so"], "demo", "", "demo.dylibs"),  # a namespace is shared: another wheel may bring ns/.dylibs, too
        (["ns/demo/_core.so"], "ns-demo", "", "ns/demo/.dylibs"),
        (["ns/part/__init__.py", "ns/part/_core.so"], "demo", "", "ns/part/.dylibs"),
        (["demo/__init__.py", "demo/_core.so"], "demo", "libs", "demo/libs"),
        (["_core.so"], "demo", ".libs", "demo.libs"),
        (
            ["demo-1.0.data/platlib/demo/__init__.py", "demo-1.0.data/platlib/demo/_core.so"],
            "demo",
            "",
            "demo-1.0.data/platlib/demo/.dylibs",
        ),
        (["demo-1.0.data/purelib/pkg/__init__.py", "demo-1.0.data/purelib/pkg/_core.so"], "demo", "", "demo-1.0.data/purelib/pkg/.dylibs"),
        (["aaa/__init__.py", "bbb/__init__.py", "bbb/.dylibs/x.dylib", "aaa/_core.so"], "demo", "", "bbb/.dylibs"),
    ],
)
def test_the_folder_lies_in_the_package_of_the_wheels_name_or_the_first_one(files: list[str], name: str, sdir: str, expected: str) -> None:
    at = next(one for one in files if one.endswith("_core.so"))
    module = ext(f"{BREW}/libpng16.16.dylib", at=at)
    inside = at.removeprefix("demo-1.0.data/platlib/").removeprefix("demo-1.0.data/purelib/")
    module = dataclasses.replace(module, path=f"{SITE}/{inside}")
    library = lib(f"{BREW}/libpng16.16.dylib")
    wired = wire(request(module, take=[taken(library)], members=files, name=name, lib_sdir=sdir))
    assert wired.placed == (Placed(library.path, f"{expected}/libpng16-0123abcd.16.dylib"),)


def test_paths_are_computed_between_installed_places() -> None:
    """A module in .data/platlib lies beside the packages once it is installed."""
    at = "demo-1.0.data/platlib/sub/_core.so"
    module = dataclasses.replace(ext(f"{BREW}/libz.dylib", at=at), path=f"{SITE}/sub/_core.so")
    wired = wire(request(module, take=[taken(lib(f"{BREW}/libz.dylib"))]))
    assert edits(wired, module.path) == (ReplaceNeeded(f"{BREW}/libz.dylib", "@loader_path/../demo/.dylibs/libz-0123abcd.dylib"),)


# ---------------------------------------------------------------- names


def test_two_libraries_of_one_name_get_different_ones() -> None:
    some, others = lib("/a/libx.dylib", room=16), lib("/b/LIBX.dylib", room=16)
    asked = request(ext("/a/libx.dylib", "/b/LIBX.dylib"), take=[taken(some, "11111111"), taken(others, "22222222")])
    wired, _ = check_whole(asked)
    assert sorted(places(wired).values()) == ["demo/.dylibs/LIBX-22222222.dylib", "demo/.dylibs/libx-11111111.dylib"]


def test_a_file_that_is_in_the_folder_already_keeps_its_name() -> None:
    module = ext(f"{BREW}/libx.dylib", "@loader_path/.dylibs/libx.dylib", room=40)
    there = own("demo/.dylibs/libx.dylib", name="/DLC/demo/.dylibs/libx.dylib")
    also = own("demo/.dylibs/libx-0123abcd.dylib", name="/DLC/demo/.dylibs/libx-0123abcd.dylib")
    wired = wire(request(module, there, also, take=[taken(lib(f"{BREW}/libx.dylib"))]))
    assert places(wired) == {f"{BREW}/libx.dylib": "demo/.dylibs/libx-0123abcd-2.dylib"}


def test_the_digest_stays_out_of_the_name_where_an_importer_has_no_room_for_it() -> None:
    name = f"{BREW}/libpng16.16.dylib"
    tight, roomy = ext(name, room=0), ext(name, at="demo/_more.so")
    wired, after = check_whole(request(tight, roomy, take=[taken(lib(name))]))
    assert places(wired) == {name: "demo/.dylibs/libpng16.16.dylib"}
    library = next(one for one in after if one.member.endswith("libpng16.16.dylib"))
    assert library.images[0].identity == "/DLC/demo/.dylibs/0123abcd/libpng16.16.dylib"


@pytest.mark.parametrize(
    ("room", "renamed", "identity"),
    [
        (64, True, "/DLC/demo/.dylibs/libz-0123abcd.dylib"),
        (16, True, "/DLC/libz-0123abcd.dylib"),
        (64, False, "@rpath/libz.dylib"),
    ],
)
def test_the_identity_is_as_distinct_as_there_is_room(room: int, renamed: bool, identity: str) -> None:
    library = lib("/a/libz.dylib", name="/libz.dylib", room=room)
    wired = wire(request(ext("/a/libz.dylib"), take=[taken(library, renamed=renamed)], given_={"/a/libz.dylib": "/a/libz.dylib"}))
    assert wired.refusals == ()
    assert SetIdentity(identity) in edits(wired, library.path) or library.images[0].identity == identity


def test_no_identity_is_a_bare_leaf() -> None:
    library = lib("/a/libz.dylib", name="libz.dylib", room=0)
    wired = wire(request(ext("libz.dylib"), take=[taken(library)], given_={"libz.dylib": "/a/libz.dylib"}))
    (refusal,) = wired.refusals
    assert "demo/.dylibs" not in refusal.message and "/a/libz.dylib (arm64)" in refusal.message
    assert "headerpad_max_install_names" in refusal.hint and "room for 0 bytes" in refusal.message


def test_kept_names_that_collide_are_refused() -> None:
    take = [taken(lib("/a/libx.dylib"), renamed=False), taken(lib("/b/libX.dylib"), "ffff0000", renamed=False)]
    (refusal,) = wire(request(ext("/a/libx.dylib", "/b/libX.dylib"), take=take)).refusals
    assert "/a/libx.dylib" in refusal.message and "/b/libX.dylib" in refusal.message


def test_a_framework_becomes_its_binary() -> None:
    path = "/Library/Frameworks/Demo.framework/Versions/A/Demo"
    wired, _ = check_whole(request(ext(path), take=[taken(lib(path))]))
    assert places(wired) == {path: "demo/.dylibs/Demo-0123abcd"}
    assert any("Demo.framework" in remark and "Resources" in remark for remark in wired.remarks)


# ---------------------------------------------------------------- needs


def test_needs_lead_to_the_vendored_libraries_from_wherever_the_file_lies() -> None:
    png, z = lib(f"{BREW}/libpng16.16.dylib", f"{BREW}/libz.dylib"), lib(f"{BREW}/libz.dylib")
    modules = [ext(png.path, "/usr/lib/libSystem.B.dylib"), ext(png.path, at="demo/a/b/_deep.so"), ext(z.path, at="_top.so")]
    wired, _ = check_whole(request(*modules, take=[taken(png, "aaaaaaaa"), taken(z, "bbbbbbbb")]))
    assert edits(wired) == (ReplaceNeeded(png.path, "@loader_path/.dylibs/libpng16-aaaaaaaa.16.dylib"),)
    assert edits(wired, f"{SITE}/demo/a/b/_deep.so") == (ReplaceNeeded(png.path, "@loader_path/../../.dylibs/libpng16-aaaaaaaa.16.dylib"),)
    assert edits(wired, f"{SITE}/_top.so") == (ReplaceNeeded(z.path, "@loader_path/demo/.dylibs/libz-bbbbbbbb.dylib"),)
    assert ReplaceNeeded(z.path, "@loader_path/libz-bbbbbbbb.dylib") in edits(wired, png.path)
    assert because(wired) == f"unbundled-library: {png.path} is on no user's machine"


@pytest.mark.parametrize("kind", [NeedKind.REQUIRED, NeedKind.WEAK, NeedKind.REEXPORT, NeedKind.UPWARD, NeedKind.LAZY])
def test_the_kind_of_a_need_stays(kind: NeedKind) -> None:
    z = lib("/a/libz.dylib")
    _, after = check_whole(request(ext(Needed("/a/libz.dylib", kind)), take=[taken(z)]))
    assert after[0].images[0].needed == (Needed("@loader_path/.dylibs/libz-0123abcd.dylib", kind),)


@pytest.mark.parametrize(
    ("need", "rpaths"),
    [
        ("@loader_path/lib/libown.dylib", ()),
        ("@loader_path/./lib/../lib/libown.dylib", ()),
        ("@rpath/libown.dylib", ("@loader_path/lib",)),
        ("@rpath/lib/libown.dylib", ("@loader_path",)),
        ("@rpath/libown.dylib", ("@loader_path/", "@loader_path/lib/")),
        ("@rpath/libown.dylib", ("/usr/lib/swift", "@loader_path/lib")),
        ("@rpath/libown.dylib", ("@executable_path/../lib", "@loader_path/lib")),
    ],
)
def test_what_works_as_it_is_written_stays(need: str, rpaths: tuple[str, ...]) -> None:
    module = ext(need, rpaths=rpaths)
    assert wire(request(module, own("demo/lib/libown.dylib"))).edited == ()


@pytest.mark.parametrize(
    ("need", "rpaths", "rule"),
    [
        ("/Users/me/build/libown.dylib", (), "absolute-install-name"),
        ("libown.dylib", (), "absolute-install-name"),
        ("@rpath/libown.dylib", ("/Users/me/build",), "unresolved-rpath"),
        ("@rpath/libown.dylib", (), "unresolved-rpath"),
        ("@executable_path/libown.dylib", (), "absolute-install-name"),
    ],
)
def test_names_that_lead_nowhere_lead_to_the_wheels_own_library(need: str, rpaths: tuple[str, ...], rule: str) -> None:
    there = own("demo/lib/libown.dylib")
    wired, after = check_whole(request(ext(need, rpaths=rpaths), there, given_={need: there.path}))
    assert after[0].images[0].needed == (Needed("@loader_path/lib/libown.dylib"),)
    assert f"{rule}: " in because(wired)
    assert after[0].images[0].search_paths == ()


def test_a_need_that_the_importers_loader_path_meets_is_touched_with_notes_only() -> None:
    module = ext("@rpath/liba.dylib", "@rpath/libb.dylib", rpaths=("@loader_path/lib",))
    libraries = own("demo/lib/liba.dylib", "@rpath/libb.dylib"), own("demo/lib/libb.dylib")
    asked = request(module, *libraries)
    asked = dataclasses.replace(
        asked, links=tuple(link._replace(reachable=True, target=link.target or libraries[1].path) for link in asked.links)
    )
    assert wire(asked).edited == ()
    mended = wire(dataclasses.replace(asked, options=RepairOptions(fix_notes=True)))
    assert edits(mended, libraries[0].path) == (ReplaceNeeded("@rpath/libb.dylib", "@loader_path/libb.dylib"),)
    assert because(mended, libraries[0].path).startswith("resolved-by-caller: @rpath/libb.dylib")


def test_a_need_that_only_works_by_the_caller_is_no_reason_to_refuse() -> None:
    module = ext("@rpath/l", rpaths=("@loader_path/a/folder/with/a/rather/long/name",))
    first = own("demo/b/libfirst.dylib", "@rpath/l", room=0)
    second = own("demo/a/folder/with/a/rather/long/name/l")
    asked = request(module, first, second, fix_notes=True)
    asked = dataclasses.replace(asked, links=tuple(link._replace(reachable=True, target=second.path) for link in asked.links))
    assert wire(asked) == Wired()


def test_another_distributions_library_is_used_where_it_lies() -> None:
    other = dataclasses.replace(own("other/.dylibs/libx.dylib"), owner="other")
    wired = wire(request(ext("@rpath/libx.dylib"), given_={"@rpath/libx.dylib": other.path}, provided=[other]))
    assert edits(wired) == (ReplaceNeeded("@rpath/libx.dylib", "@loader_path/../other/.dylibs/libx.dylib"),)
    assert because(wired) == "--provided-by: @rpath/libx.dylib is another distribution's"


def test_two_commands_for_one_library_get_two_spellings() -> None:
    z = lib("/a/libz.dylib")
    module = ext("/a/libz.dylib", "@rpath/libz.dylib", "/b/libz.1.dylib")
    _, after = check_whole(request(module, take=[taken(z)], given_={"/b/libz.1.dylib": z.path}))
    names = [need.name for need in after[0].images[0].needed]
    assert names == [f"@loader_path/{dots}.dylibs/libz-0123abcd.dylib" for dots in ("", "./", "././")]


def test_slices_that_need_different_libraries_are_edited_apart() -> None:
    intel, arm = slice_of("/x/libz.dylib", arch="x86_64", cpu_type=0x01000007), slice_of("/x/libz.dylib")
    first = Binary("/usr/local/lib/libz.dylib", "/usr/local/lib/libz.dylib", (intel,))
    second = Binary(f"{BREW}/libz.dylib", f"{BREW}/libz.dylib", (arm,))
    images = (
        macho(first.path, arch="x86_64", cpu_type=0x01000007, sdk=SDK, name_room=ROOMY),
        macho(second.path, "/usr/lib/libm.dylib", sdk=SDK, name_room=ROOMY),
    )
    module = binary("demo/_core.so", *images, extension="demo._core")
    wired, _ = check_whole(request(module, take=[taken(first, "11111111"), taken(second, "22222222")], target=UNIVERSAL))
    assert edits(wired) == (
        ReplaceNeeded(first.path, "@loader_path/.dylibs/libz-11111111.dylib", "x86_64"),
        ReplaceNeeded(second.path, "@loader_path/.dylibs/libz-22222222.dylib", "arm64"),
    )


def test_a_slice_that_the_tag_does_not_promise_is_edited_like_the_others() -> None:
    needs = "/a/libz.dylib"
    images = macho(needs, sdk=SDK, name_room=ROOMY), macho(needs, arch="x86_64", cpu_type=0x01000007, sdk=SDK, name_room=ROOMY)
    asked = request(binary("demo/_core.so", *images), take=[taken(lib(needs))])
    asked = dataclasses.replace(asked, links=tuple(link for link in asked.links if link.arch == "arm64"))
    assert edits(wire(asked)) == (ReplaceNeeded(needs, "@loader_path/.dylibs/libz-0123abcd.dylib"),)


# ---------------------------------------------------------------- room


def test_an_rpath_that_is_there_makes_a_need_shorter() -> None:
    at = "demo/a/very/deep/folder/_core.so"
    module = ext("/x/libz.dylib", at=at, room=16, rpaths=("@loader_path/../../../../.dylibs",))
    wired, _ = check_whole(request(module, take=[taken(lib("/x/libz.dylib"))], members=("demo/__init__.py", "demo/.dylibs/old.dylib")))
    assert edits(wired, module.path) == (ReplaceNeeded("/x/libz.dylib", "@rpath/libz-0123abcd.dylib"),)


def test_many_needs_share_one_new_rpath_where_that_is_shorter() -> None:
    at, names = "demo/a/very/deep/folder/_core.so", [f"/x/lib{letter}.dylib" for letter in "abcdef"]
    module = ext(*names, at=at, room=6 * 16 + 56)
    take = [taken(lib(name), f"{number}" * 8) for number, name in enumerate(names)]
    _, after = check_whole(request(module, take=take))
    assert [path.text for path in after[0].images[0].search_paths] == ["@loader_path/../../../../.dylibs"]
    assert all(need.name.startswith("@rpath/lib") for need in after[0].images[0].needed)


def test_no_room_is_refused_with_bytes_and_the_linkers_flag() -> None:
    wired = wire(request(ext("/z", room=3), take=[taken(lib("/z"))]))
    (refusal,) = wired.refusals
    assert refusal.message == "demo/_core.so (arm64): the shortest new names take 16 more bytes; there is room for 3 bytes"
    assert "-Wl,-headerpad_max_install_names" in refusal.hint


# ---------------------------------------------------------------- search paths


@pytest.mark.parametrize(
    ("rpaths", "after", "rule"),
    [
        (["/opt/homebrew/lib", "@loader_path/lib"], ["@loader_path/lib"], "build-search-path: LC_RPATH /opt/homebrew/lib"),
        (["/Users/runner/x"], [], "build-search-path: LC_RPATH /Users/runner/x"),
        (["/tmp/build"], [], "writable-search-path: LC_RPATH /tmp/build"),
        (["/usr/../tmp/build"], [], "writable-search-path: LC_RPATH /usr/../tmp/build"),
        (["libs"], [], "relative-search-path: LC_RPATH libs"),
        (["@loader_path/lib", "@loader_path/lib"], ["@loader_path/lib"], "duplicate-rpath: LC_RPATH @loader_path/lib"),
    ],
)
def test_search_paths_that_harm_go(rpaths: list[str], after: list[str], rule: str) -> None:
    wired, _ = check_whole(request(ext("/usr/lib/libSystem.B.dylib", rpaths=rpaths)))
    assert edits(wired) == (SetSearchPaths(tuple(after)),)
    assert because(wired) == rule


@pytest.mark.parametrize(("path", "stays"), [("/opt/homebrew/opt/libomp/lib", True), ("/Users/me/lib", False), ("/tmp/lib", False)])
def test_a_library_that_is_left_to_the_user_may_lie_where_package_managers_put_it(path: str, stays: bool) -> None:
    asked = request(ext("@rpath/libomp.dylib", rpaths=[path]))
    links = tuple(link._replace(how=How.EXPECTED, via="--exclude libomp*") for link in asked.links)
    assert edits(wire(dataclasses.replace(asked, links=links))) == (() if stays else (SetSearchPaths(()),))


def test_what_package_managers_have_of_a_name_is_not_taken_for_the_wheels_own() -> None:
    module = ext("@rpath/libomp.dylib", "@rpath/libown.dylib", rpaths=["/opt/homebrew/lib", "@loader_path/lib"])
    there = own("demo/lib/libown.dylib")
    asked = request(module, there)
    links = tuple(link if link.target else link._replace(how=How.EXPECTED, via="--exclude libomp*") for link in asked.links)
    wired = wire(dataclasses.replace(asked, links=links))
    assert edits(wired) == (ReplaceNeeded("@rpath/libown.dylib", "@loader_path/lib/libown.dylib"),)
    assert because(wired) == "build-search-path: a package manager may have another @rpath/libown.dylib"


@pytest.mark.parametrize(
    "kept",
    [
        ["@loader_path"],
        ["@loader_path/"],
        ["@loader_path/", "@loader_path"],  # what dyld takes for two
        ["@loader_path/../x", "@executable_path/../lib"],
        ["/usr/lib/swift", "/System/Library/Frameworks"],
        ["@loader_path/../../../"],
        [""],
    ],
)
def test_search_paths_that_do_not_harm_stay(kept: list[str]) -> None:
    assert wire(request(ext(rpaths=kept))).edited == ()


def test_notes_take_out_what_leads_to_no_folder_of_the_wheel() -> None:
    module = ext(rpaths=["@loader_path/gone", "@loader_path/../other/lib", "@loader_path", "@loader_path/data"])
    wired = wire(request(module, fix_notes=True, members=["demo/data/plugins.txt"]))
    assert edits(wired) == (SetSearchPaths(("@loader_path/../other/lib", "@loader_path", "@loader_path/data")),)


def test_a_vendored_librarys_paths_are_read_from_its_new_place() -> None:
    library = lib(f"{BREW}/libz.dylib", rpaths=["@loader_path/../opt/gcc", BREW, "@loader_path/.", "/usr/lib/swift"])
    wired = wire(request(ext(library.path), take=[taken(library)]))
    assert SetSearchPaths(("@loader_path/.", "/usr/lib/swift")) in edits(wired, library.path)


# ---------------------------------------------------------------- asked for by name


def test_what_is_included_is_found_by_name_from_everywhere() -> None:
    plugin = lib("/opt/x/libplugin.dylib", name="/opt/x/libplugin.dylib")
    modules = ext(), ext(at="demo/sub/_more.so"), own("demo/payload/libp.dylib", role=Role.PAYLOAD)
    asked = request(*modules, take=[taken(plugin, wanted=True)])
    wired, _ = check_whole(asked)
    assert places(wired) == {plugin.path: "demo/.dylibs/libplugin.dylib"}
    assert edits(wired, plugin.path) == (SetIdentity("@rpath/libplugin.dylib"),)
    assert edits(wired) == (SetSearchPaths(("@loader_path/.dylibs",)),)
    assert edits(wired, f"{SITE}/demo/sub/_more.so") == (SetSearchPaths(("@loader_path/../.dylibs",)),)
    assert edits(wired, f"{SITE}/demo/payload/libp.dylib") == ()
    assert "--include: libplugin.dylib" in because(wired)


def test_no_room_for_that_is_a_remark_and_no_reason_to_refuse() -> None:
    wired = wire(request(ext(room=8), take=[taken(lib("/opt/x/libplugin.dylib"), wanted=True)]))
    assert wired.refusals == () and edits(wired) == ()
    assert any("demo/_core.so (arm64) has no room for LC_RPATH @loader_path/.dylibs" in remark for remark in wired.remarks)


# ---------------------------------------------------------------- identities of the wheel's own


@pytest.mark.parametrize(
    ("name", "need", "rpaths", "after"),
    [
        ("/Users/me/libown.dylib", "/Users/me/libown.dylib", (), "/DLC/demo/demo/lib/libown.dylib"),
        ("libown.dylib", "libown.dylib", (), "/DLC/demo/demo/lib/libown.dylib"),
        ("@rpath/libother.dylib", "@rpath/libown.dylib", ("@loader_path/lib",), "@rpath/libown.dylib"),
        ("@rpath/libother.dylib", "@loader_path/lib/libown.dylib", (), "/DLC/demo/demo/lib/libown.dylib"),
        ("@rpath/libown.dylib", "@loader_path/lib/libown.dylib", (), None),
        ("/Users/me/libown.dylib", "@loader_path/lib/libown.dylib", (), None),  # nobody asks for it by that
        ("/DLC/pkg/libown.dylib", "@loader_path/lib/libown.dylib", (), None),
    ],
)
def test_own_libraries_are_called_as_they_are_needed(name: str, need: str, rpaths: tuple[str, ...], after: str | None) -> None:
    there = own("demo/lib/libown.dylib", name=name)
    wired, _ = check_whole(request(ext(need, rpaths=rpaths), there, given_={need: there.path}))
    assert edits(wired, there.path) == ((SetIdentity(after),) if after else ())


# ---------------------------------------------------------------- signatures


def test_a_certificates_signature_is_given_up_and_said() -> None:
    signature = Signature("cms", "com.example", 0, 4096)
    module = binary("demo/_core.so", macho("/a/libz.dylib", sdk=SDK, name_room=ROOMY, signature=signature))
    wired = wire(request(module, take=[taken(lib("/a/libz.dylib"))]))
    assert Resign("arm64") in edits(wired)
    assert any("com.example" in remark and "sign it again" in remark for remark in wired.remarks)
    untouched = binary("demo/_core.so", macho("/usr/lib/libz.dylib", sdk=SDK, name_room=ROOMY, signature=signature))
    assert wire(request(untouched)) == Wired()


# ---------------------------------------------------------------- programs


def test_a_program_among_the_scripts_moves_to_where_the_way_is_known() -> None:
    z = lib("/a/libz.dylib")
    image = macho("/a/libz.dylib", kind="program", sdk=SDK, name_room=ROOMY, rpaths=("@executable_path/../lib",))
    program = Binary("demo-1.0.data/scripts/tool", f"{PREFIX}/bin/tool", (image,), owner="demo", role=Role.PROGRAM)
    wired = wire(request(program, take=[taken(z)]))
    assert places(wired)[program.path] == "demo.scripts/tool"
    assert ReplaceNeeded("/a/libz.dylib", "@loader_path/../demo/.dylibs/libz-0123abcd.dylib") in edits(wired, program.path)
    shim, mode = wired.actions
    assert isinstance(shim, AddFile) and shim.member == program.member and shim.mode == 0o755
    compile(shim.data, "tool", "exec")
    assert isinstance(mode, SetMode) and (mode.member, mode.mode) == ("demo.scripts/tool", 0o755)


@pytest.mark.parametrize(("mode", "added"), [(0o755, 0), (0o644, 1), (0o611, 0), (0, 1)])
def test_a_program_that_leaves_the_scripts_may_still_be_run(mode: int, added: int) -> None:
    """Installers make scripts executable whatever their mode, and nothing else."""
    image = macho("/a/libz.dylib", kind="program", sdk=SDK, name_room=ROOMY)
    program = Binary("demo-1.0.data/scripts/tool", f"{PREFIX}/bin/tool", (image,), owner="demo", role=Role.PROGRAM)
    asked = request(program, take=[taken(lib("/a/libz.dylib"))])
    members = tuple(one._replace(mode=mode) if one.name == program.member else one for one in asked.survey.container.members)
    container = dataclasses.replace(asked.survey.container, members=members)
    wired = wire(dataclasses.replace(asked, survey=dataclasses.replace(asked.survey, container=container)))
    assert len([action for action in wired.actions if isinstance(action, SetMode)]) == added


def test_a_library_from_where_nobody_knows_the_way_is_refused() -> None:
    library = Binary(
        "demo-1.0.data/data/lib/libd.dylib", f"{PREFIX}/lib/libd.dylib", (slice_of("@rpath/libd.dylib", "/a/libz.dylib"),), owner="demo"
    )
    (refusal,) = wire(request(library, take=[taken(lib("/a/libz.dylib"))])).refusals
    assert "demo-1.0.data/data/lib/libd.dylib needs /a/libz.dylib" in refusal.message


# ---------------------------------------------------------------- promises


@pytest.mark.parametrize(("require", "refused"), [((), False), (("arm64",), False), (("universal2",), True), (("x86_64", "arm64"), True)])
def test_required_architectures_are_asked_of_every_file(require: tuple[str, ...], refused: bool) -> None:
    wired = wire(request(ext("/a/libz.dylib"), take=[taken(lib("/a/libz.dylib"))], require_arches=require))
    told = [refusal.message for refusal in wired.refusals]
    assert told == (
        ["demo/_core.so has no code for x86_64, only for arm64", "/a/libz.dylib has no code for x86_64, only for arm64"] if refused else []
    )


def test_a_taken_library_has_the_slices_of_those_that_need_it() -> None:
    images = macho("/a/libz.dylib", sdk=SDK, name_room=ROOMY), macho("/a/libz.dylib", arch="x86_64", sdk=SDK, name_room=ROOMY)
    (refusal,) = wire(request(binary("demo/_core.so", *images), take=[taken(lib("/a/libz.dylib"))], target=UNIVERSAL)).refusals
    assert "/a/libz.dylib has no code for x86_64" in refusal.message


@pytest.mark.parametrize(
    ("minimum", "arch", "limit", "refused"),
    [
        ((12, 0), "arm64", (11, 0), True),
        ((11, 0), "arm64", (10, 9), False),  # there is no older one
        ((11, 3), "arm64", (11, 0), False),  # tags have no minor version
        ((10, 13), "x86_64", (10, 9), True),
        ((10, 9), "x86_64", (10, 9), False),
        ((), "x86_64", (10, 9), False),
    ],
)
def test_no_file_may_need_a_newer_macos_than_required(minimum: tuple[int, ...], arch: str, limit: tuple[int, ...], refused: bool) -> None:
    module = binary("demo/_core.so", macho(arch=arch, minimum_os=minimum))
    wired = wire(request(module, require_macos=limit))
    assert bool(wired.refusals) == refused
    if refused:
        assert "MACOSX_DEPLOYMENT_TARGET=" + ".".join(map(str, limit)) in wired.refusals[0].hint


def test_a_library_of_a_package_manager_that_is_too_new_is_told_as_such() -> None:
    library = lib("/a/libz.dylib", minimum_os=(14, 0))
    module = ext("/a/libz.dylib", minimum_os=(13, 0))
    mine, its = wire(request(module, take=[taken(library)], require_macos=(11, 0))).refusals
    assert mine.message.startswith("demo/_core.so ") and "package managers" not in mine.hint
    assert its.message.startswith("/a/libz.dylib ") and "package managers build for the macOS that they are installed on" in its.hint


@pytest.mark.parametrize("name", ["/Library/Frameworks/Python.framework/Versions/3.12/Python", "/opt/homebrew/lib/libpython3.12.dylib"])
def test_pythons_library_stays_needed_and_that_is_said(name: str) -> None:
    wired = wire(request(ext(name)))
    assert wired.edited == () and "-undefined dynamic_lookup" in wired.remarks[0] and name in wired.remarks[0]


# ---------------------------------------------------------------- real bytes


@pytest.mark.parametrize("name", sorted(p.relative_to(BIN).as_posix() for p in BIN.rglob("*") if p.suffix in (".so", ".dylib")))
def test_room_is_what_the_editor_has(name: str) -> None:
    """To the byte: the longest name that is said to fit does, and the next one is refused for want of room."""
    data = (BIN / name).read_bytes()
    try:
        images = read(memoryview(data))
    except UnreadableBinary:
        return
    for image in images:
        for make in (_long_rpath, _long_need, _long_identity):
            _check_boundary(data, image, make)


def _long_rpath(image: Image, length: int) -> Edit | None:
    return SetSearchPaths(("@loader_path/" + "x" * length,), arch=image.arch)


def _long_need(image: Image, length: int) -> Edit | None:
    return ReplaceNeeded(image.needed[0].name, "@loader_path/" + "y" * length, image.arch) if image.needed else None


def _long_identity(image: Image, length: int) -> Edit | None:
    return SetIdentity("/DLC/" + "z" * length, image.arch) if image.identity else None


def _check_boundary(data: bytes, image: Image, make: object) -> None:
    def fits(length: int) -> bool:
        edit = make(image, length)  # type: ignore[operator]
        return edit is None or lacking(image, edited(image, [edit]), sign=True) <= 0

    longest = max((length for length in range(1000) if fits(length)), default=0)
    for length in (longest, longest + 1):
        edit = make(image, length)  # type: ignore[operator]
        if edit is None or length >= 1000:
            continue
        asked = [edit, Resign(image.arch)]
        try:
            prepare(memoryview(data), asked)
        except EditRefused as refused:
            assert "too long for the room" in refused.message
            assert length > longest
        else:
            assert length <= longest


ARM = Shape(cpu_type=ARM64, cpu_subtype=0)
INTEL = Shape(cpu_type=X86_64)


def real(needs: Iterable[str], *, name: str = "", paths: Iterable[str] = (), room: int = 400, shape: Shape = ARM) -> bytes:
    """A file that dyld maps, with an ad-hoc signature made by our editor."""
    shape = shape._replace(file_type=6 if name else 8)
    listed = [dylib(name, 0xD, shape)] if name else []
    listed += [command(0x32, shape.pack(1, 0xB0000, 0xC0000, 0), shape)]
    listed += [dylib(need, shape=shape) for need in needs] + [rpath(path, shape) for path in paths]
    size = len(written([*listed, segment("__TEXT", 0, 0, shape), segment("__LINKEDIT", 0, 0, shape)], shape))
    start = -(-(size + room) // 16) * 16
    body = written([*listed, segment("__TEXT", 0, 0, shape), segment("__LINKEDIT", start, 16, shape)], shape)
    return body.ljust(start, b"\0") + bytes(16)


def read_as(data: bytes, at: str, owner: str = "demo") -> Binary:
    path = at if not owner else f"{SITE}/{at}"
    return Binary(at, path, read(memoryview(data)), "", len(data), owner, Role.IMPORTED)


needs_of = st.lists(st.sampled_from([f"/x/lib{letter}.dylib" for letter in "abcde"]), unique=True, max_size=5)


@given(
    needs_of,
    st.integers(0, 300),
    st.sampled_from(["", "a/", "a/b/c/d/e/"]),
    st.lists(st.sampled_from(["/opt/lib", "@loader_path", "@loader_path/.dylibs", "libs", "/opt/lib"]), max_size=4),
    st.integers(0, 120),
)
def test_what_is_planned_can_be_carried_out(needs: list[str], room: int, below: str, paths: list[str], more: int) -> None:
    """Whatever room there is: either it is refused, or the editor makes exactly what was projected, and dyld finds everything."""
    files = {f"demo/{below}_core.so": real(needs, paths=paths, room=room)}
    outside = {
        f"/x/lib{letter}.dylib": real(["/x/libe.dylib"] if letter == "a" else [], name=f"/x/lib{letter}.dylib", room=more)
        for letter in "abcde"
    }
    module = read_as(files[f"demo/{below}_core.so"], f"demo/{below}_core.so")
    used = [name for name in outside if name in needs or (name.endswith("e.dylib") and "/x/liba.dylib" in needs)]
    take = [taken(read_as(outside[name], name, ""), posixpath.basename(name)[3] * 8) for name in used]
    asked = request(module, take=take)
    wired = wire(asked)
    if wired.refusals:
        assert all("headerpad" in refusal.hint for refusal in wired.refusals)
        return
    check_whole(asked)
    for one in (module, *(item.binary for item in take)):
        wanted = edits(wired, one.path)
        old = files.get(one.member) or outside[one.path]
        new = bytes(apply_patches(old, prepare(memoryview(old), wanted)))
        got = read(memoryview(new), verify_signatures=True)
        assert [loader_view(image) for image in got] == [loader_view(edited(image, wanted)) for image in one.images]
        assert check_layout(new) == () or not wanted
        assert differences(got, new) == ()
        assert not prepare(memoryview(new), [edit for edit in wanted if not isinstance(edit, ReplaceNeeded)])


def test_a_universal_file_is_wired_in_every_slice_and_signed() -> None:
    parts = [(s.cpu_type, s.cpu_subtype, real(["/x/liba.dylib"], shape=s)) for s in (INTEL, ARM)]
    data = fat(parts, alignment=4)
    libraries = fat([(s.cpu_type, s.cpu_subtype, real([], name="/x/liba.dylib", shape=s)) for s in (INTEL, ARM)], alignment=4)
    take = taken(read_as(libraries, "/x/liba.dylib", ""))
    wired = wire(request(read_as(data, "demo/_core.so"), take=[take], target=UNIVERSAL))
    assert edits(wired) == (ReplaceNeeded("/x/liba.dylib", "@loader_path/.dylibs/liba-0123abcd.dylib"),)
    new = bytes(apply_patches(data, prepare(memoryview(data), edits(wired))))
    assert {image.needed for image in read(memoryview(new))} == {(Needed("@loader_path/.dylibs/liba-0123abcd.dylib"),)}
    for start, size in slices(new)[1:]:
        assert faults(new[start : start + size]) == []


def unvendored(wheel: Path, folder: Path) -> Path:
    """Take the libraries out of a repaired wheel into folder/lib, as if they were Homebrew's; return the wheel without them."""
    (folder / "lib").mkdir()
    out = folder / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(out, "w") as left:
        for name in (one for one in source.namelist() if not one.endswith("/")):
            data, vendored = source.read(name), "/.dylibs/" in name
            if name.endswith((".so", ".dylib")):
                data = _with_absolute_names(data, vendored, posixpath.basename(name))
            if vendored:
                (folder / "lib" / posixpath.basename(name)).write_bytes(data)
            else:
                left.writestr(name, data)
    return out


def _with_absolute_names(data: bytes, vendored: bool, leaf: str) -> bytes:
    changes: list[Edit] = []
    for image in read(memoryview(data)):
        brought = [need.name for need in image.needed if "/.dylibs/" in need.name or (vendored and need.name.startswith("@loader_path"))]
        changes += [ReplaceNeeded(name, f"{BREW}/{posixpath.basename(name)}", image.arch) for name in brought]
        changes += [SetIdentity(f"{BREW}/{leaf}", image.arch)] if vendored else []
    return bytes(apply_patches(data, prepare(memoryview(data), changes)))


def planned(path: Path, library_folder: Path) -> tuple[Survey, tuple[Action, ...]]:
    with open_container(str(path)) as container:
        reading = read_container(container, None, is_kept)
        facts = container.facts()
        (target,) = targets_of(facts)
        options = RepairOptions()
        found = survey_for_repair(facts, reading, target, options, Sought(search=(str(library_folder),), host=False))
        return found, plan_repair(found, reading, options).plan.actions


@pytest.mark.parametrize("name", ["pyzmq", "pillow", "scikit_learn", "numpy"])
def test_a_real_wheel_without_its_libraries_becomes_whole_again(name: str, corpus: Path, tmp_path: Path) -> None:
    """The same libraries as its publisher has in it; every edit is carried out, every need met, and a second run edits nothing."""
    wheels = sorted(corpus.glob(f"{name}-*macosx*.whl"))
    if not wheels:
        pytest.skip(f"the folder of real wheels has no {name} for macOS")
    wheel = wheels[-1]
    bare = unvendored(wheel, tmp_path)
    _, actions = planned(bare, tmp_path / "lib")
    copied = [action for action in actions if isinstance(action, CopyIn)]
    with zipfile.ZipFile(wheel) as source:
        published = {posixpath.basename(one) for one in source.namelist() if "/.dylibs/" in one and one.endswith(".dylib")}
    assert {posixpath.basename(action.origin.path) for action in copied} == published
    changes = {action.member: action.edits for action in actions if isinstance(action, EditBinary)}
    with zipfile.ZipFile(bare) as source:
        contents = {one: (source.read(one), changes.get(one, ())) for one in source.namelist()}
    contents |= {action.member: (Path(action.origin.path).read_bytes(), action.edits) for action in copied}
    done = tmp_path / "done" / wheel.name
    done.parent.mkdir()
    with zipfile.ZipFile(done, "w") as out:
        for one, (old, edits_of) in contents.items():
            out.writestr(one, _carried_out(old, edits_of))
    after, again = planned(done, tmp_path / "lib")
    assert not [action for action in again if isinstance(action, EditBinary | CopyIn)]
    unmet = [(load_.root, r.needed.name) for load_ in after.loads for r in load_.resolutions if r.how not in (How.BUNDLED, How.PROMISED)]
    assert unmet == []


def _carried_out(old: bytes, wanted: tuple[Edit, ...]) -> bytes:
    if not wanted:
        return old
    new = bytes(apply_patches(old, prepare(memoryview(old), wanted)))
    assert set(check_layout(new)) <= set(check_layout(old))
    assert differences(read(memoryview(new)), new) == ()
    return new


def test_a_certificate_on_real_bytes_becomes_an_adhoc_signature() -> None:
    data = signed((BIN / "x86_64" / "libb.dylib").read_bytes(), b"certificate")
    module, there = read_as(data, "demo/libb.dylib"), own("demo/far/liba.dylib", arch="x86_64", cpu_type=0x01000007)
    wanted = edits(wire(request(module, there, given_={"@rpath/liba.dylib": there.path}, target=UNIVERSAL)), module.path)
    assert ReplaceNeeded("@rpath/liba.dylib", "@loader_path/far/liba.dylib") in wanted
    assert Resign("x86_64") in wanted
    (image,) = read(memoryview(apply_patches(data, prepare(memoryview(data), wanted))), verify_signatures=True)
    assert isinstance(image.native, MachOFacts) and image.native.signature is not None
    assert (image.native.signature.kind, image.native.signature.bad_pages, image.native.signature.problem) == ("adhoc", (), "")
