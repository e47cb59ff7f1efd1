"""How vendored files are told apart, and what they are called."""

import pytest

import builders as b
from linked import outside
from relocator.model import Binary, Format, How, Needed
from relocator.repair.choosing import Brought
from relocator.repair.naming import Content, base_name, components, digests, hashed_name, named, shortened
from relocator.repair.wiring import Link
from relocator.repairs import RepairOptions


def content(text: str, *needs: str, stripped: bool = False) -> Content:
    return Content(text * 64, stripped, needs)


# ---- digits


def test_equal_bytes_with_equal_needs_get_equal_digits_wherever_they_lie() -> None:
    one = digests({"/a/foo": content("1", "/a/bar"), "/a/bar": content("2")})
    other = digests({"/z/bar": content("2"), "/y/foo": content("1", "/z/bar")})
    assert (one["/a/foo"], one["/a/bar"]) == (other["/y/foo"], other["/z/bar"])
    assert {len(digest) for digest in one.values()} == {8}


def test_what_a_file_brings_is_in_its_digits() -> None:
    found = digests(
        {"foo": content("1", "bar"), "foo2": content("1", "baz"), "foo3": content("1"), "bar": content("2"), "baz": content("3")}
    )
    assert len(set(found.values())) == 5


def test_a_change_deep_below_reaches_the_top() -> None:
    chain = {str(n): content("a", str(n + 1)) for n in range(5)}
    assert digests({**chain, "5": content("b")})["0"] != digests({**chain, "5": content("c")})["0"]


def test_stripping_is_in_the_digits() -> None:
    assert digests({"foo": content("1")}) != digests({"foo": content("1", stripped=True)})


def test_what_meets_a_need_and_is_not_brought_in_counts_by_its_path() -> None:
    """Two packages that have libraries of one name must not share what is bound to one of them."""
    one, other, none = (digests({"foo": content("1", *needs)}) for needs in (["demo/libx.so"], ["other/libx.so"], []))
    assert len({one["foo"], other["foo"], none["foo"]}) == 3


def test_a_circle_is_hashed_as_one_set() -> None:
    circle = {"a": content("1", "b"), "b": content("2", "c"), "c": content("3", "a", "d"), "d": content("4")}
    found = digests(circle)
    assert len(set(found.values())) == 4
    changed = digests({**circle, "b": content("5", "c")})
    assert found["d"] == changed["d"]
    assert all(found[key] != changed[key] for key in "abc")
    elsewhere = {f"/x/{key}": one._replace(needs=tuple(f"/x/{need}" for need in one.needs)) for key, one in reversed(circle.items())}
    assert digests(elsewhere) == {f"/x/{key}": digest for key, digest in found.items()}


def test_circles_whose_members_bring_each_others_libraries_are_different() -> None:
    found = digests(
        {
            **{"a": content("1", "b", "x"), "b": content("2", "a", "y"), "c": content("1", "d", "y"), "d": content("2", "c", "x")},
            **{"x": content("3"), "y": content("4")},
        }
    )
    assert len(set(found.values())) == 6


def test_a_file_that_needs_itself_differs_from_one_that_does_not() -> None:
    found = digests({"a": content("1", "a"), "b": content("1")})
    assert found["a"] != found["b"]


def test_long_chains_and_large_circles_do_not_recurse() -> None:
    chain = {str(n): content("a", str(n + 1)) for n in range(10_000)}
    assert len(set(digests(chain).values())) == 10_000
    circle = {str(n): Content(f"{n:064x}", False, (str((n + 1) % 10_000),)) for n in range(10_000)}
    assert len(set(digests(circle).values())) == 10_000


def test_files_that_agree_in_eight_digits_get_more_and_others_do_not() -> None:
    whole = {"a": "01234567" + "89" + "0" * 54, "b": "01234567" + "8a" + "0" * 54, "c": "f" * 64, "d": "01234567" + "89" + "0" * 54}
    assert shortened(whole) == {"a": "0123456789", "b": "012345678a", "c": "ffffffff", "d": "0123456789"}


def test_components_come_after_all_that_they_lead_to() -> None:
    graph = {"a": ["b", "c"], "b": ["a"], "c": ["d"], "d": [], "e": ["e"]}
    found = [frozenset(group) for group in components(graph)]
    assert sorted(map(sorted, found)) == [["a", "b"], ["c"], ["d"], ["e"]]
    assert found.index(frozenset("d")) < found.index(frozenset("c")) < found.index(frozenset("ab"))


# ---- names


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("libfoo.so.1.2", Format.ELF, "libfoo-0123abcd.so.1.2"),
        ("libopenblasp-r0.3.23.so", Format.ELF, "libopenblasp-r0-0123abcd.3.23.so"),
        ("libfoo", Format.ELF, "libfoo-0123abcd"),
        (".libfoo.so", Format.ELF, ".libfoo-0123abcd.so"),
        ("lib foo+.so.1", Format.ELF, "lib foo+-0123abcd.so.1"),
        ("libfoo-0123abcd.so.1", Format.ELF, "libfoo-0123abcd.so.1"),
        ("libfoo-aaaabbbb.so.1", Format.ELF, "libfoo-aaaabbbb-0123abcd.so.1"),
        ("libfoo.1.dylib", Format.MACHO, "libfoo-0123abcd.1.dylib"),
        ("Foo", Format.MACHO, "Foo-0123abcd"),
        ("foo.dll", Format.PE, "foo-0123abcd.dll"),
        ("foo-1.2.DLL", Format.PE, "foo-1.2-0123abcd.DLL"),
        ("foo-0123abcd.dll", Format.PE, "foo-0123abcd.dll"),
        ("foo", Format.PE, "foo-0123abcd"),
    ],
)
def test_digits_stand_before_the_version(name: str, kind: Format, expected: str) -> None:
    assert hashed_name(name, "0123abcd", kind) == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (Binary("/lib/libfoo.so.1.2.3", "/lib/libfoo.so.1.2.3", (b.elf(soname="libfoo.so.1"),)), "libfoo.so.1"),
        (Binary("/lib/libfoo.so.1.2.3", "/lib/<2>/libfoo.so.1.2.3", (b.elf(),)), "libfoo.so.1.2.3"),
        (Binary("/lib/libfoo.1.2.dylib", "/lib/libfoo.1.2.dylib", (b.macho(install_name="@rpath/libfoo.1.dylib"),)), "libfoo.1.dylib"),
        (Binary("C:\\bin\\Foo.dll", "/C:/bin/Foo.dll", (b.pe(name="bar.dll"),)), "Foo.dll"),
    ],
)
def test_a_file_is_called_what_others_need_it_by(file: Binary, expected: str) -> None:
    assert base_name(file) == expected


# ---- the files that are brought in


def brought(path: str, sha256: str, soname: str = "", wanted: bool = False) -> Brought:
    file = outside(path)
    images = (b.elf(soname=soname or path.rpartition("/")[2]),)
    return Brought(Binary(file.member, file.path, images, sha256 * 64), "ld.so.cache", wanted)


def link(importer: str, target: str) -> Link:
    return Link(importer, Needed(target.rpartition("/")[2]), "x86_64", target, How.OUTSIDE, "ld.so.cache", False)


def test_copies_of_one_library_in_two_folders_become_one_file() -> None:
    files = [brought("/b/liba.so.1.0", "1", "liba.so.1"), brought("/a/liba.so.1", "1"), brought("/c/libb.so", "2")]
    taken, links = named(
        files,
        [
            link("one", "/b/liba.so.1.0"),
            link("two", "/a/liba.so.1"),
            link("/b/liba.so.1.0", "/c/libb.so"),
            link("/a/liba.so.1", "/c/libb.so"),
        ],
        RepairOptions(),
    )
    assert [one.binary.path for one in taken] == ["/a/liba.so.1", "/c/libb.so"]
    assert [(found.importer, found.target) for found in links] == [
        ("one", "/a/liba.so.1"),
        ("two", "/a/liba.so.1"),
        ("/a/liba.so.1", "/c/libb.so"),
    ]


def test_two_different_libraries_of_one_soname_stay_two() -> None:
    taken, links = named(
        [brought("/b/liba.so.1", "1"), brought("/a/liba.so.1", "2")],
        [link("one", "/b/liba.so.1"), link("two", "/a/liba.so.1")],
        RepairOptions(),
    )
    assert [one.binary.path for one in taken] == ["/a/liba.so.1", "/b/liba.so.1"]
    assert taken[0].digest != taken[1].digest
    assert [found.target for found in links] == ["/b/liba.so.1", "/a/liba.so.1"]


def test_equal_bytes_that_bring_different_libraries_stay_two() -> None:
    files = [brought("/b/liba.so.1", "1"), brought("/a/liba.so.1", "1"), brought("/a/libb.so", "2"), brought("/b/libb.so", "3")]
    taken, _ = named(files, [link("/b/liba.so.1", "/b/libb.so"), link("/a/liba.so.1", "/a/libb.so")], RepairOptions())
    assert len(taken) == 4
    assert len({one.digest for one in taken}) == 4


def test_equal_bytes_that_are_led_to_different_files_of_the_wheel_stay_two() -> None:
    files = [brought("/opt/liba.so", "1"), brought("/opt/<2>/liba.so", "1")]
    own = [link("/opt/liba.so", "/<prefix>/demo/one/libb.so"), link("/opt/<2>/liba.so", "/<prefix>/demo/two/libb.so")]
    taken, links = named(files, own, RepairOptions())
    assert len({one.digest for one in taken}) == 2
    assert set(links) == set(own)


def test_files_whose_hashes_are_not_known_are_never_taken_for_one() -> None:
    taken, _ = named([brought("/b/liba.so.1", ""), brought("/a/liba.so.1", "")], [], RepairOptions())
    assert len({one.digest for one in taken}) == 2


@pytest.mark.parametrize(
    ("pattern", "renamed"),
    [("liba.so.1", False), ("liba*", False), ("*", False), ("lib/liba", False), ("/opt/lib/*", False), ("liba.so", True), ("libb*", True)],
)
def test_an_option_keeps_names(pattern: str, renamed: bool) -> None:
    taken, _ = named([brought("/opt/lib/liba.so.1.0", "1", "liba.so.1")], [], RepairOptions(no_rename=(pattern,)))
    assert [one.renamed for one in taken] == [renamed]


def test_what_was_asked_for_keeps_its_name() -> None:
    taken, _ = named([brought("/opt/liba.so.1", "1", wanted=True), brought("/opt/libb.so.1", "2")], [], RepairOptions())
    assert [(one.wanted, one.renamed) for one in taken] == [(True, False), (False, True)]


def test_an_elf_library_that_was_asked_for_and_is_needed_is_renamed() -> None:
    """Under its own name glibc would take another package's for it, or give it to that."""
    libraries = [brought("/opt/liba.so.1", "1", wanted=True), brought("/opt/plugin.so", "2", wanted=True)]
    links = [link("/<prefix>/demo/_core.so", "/opt/liba.so.1")]
    taken, _ = named(libraries, links, RepairOptions())
    assert [(one.wanted, one.renamed) for one in taken] == [(True, True), (True, False)]
    taken, _ = named(libraries, links, RepairOptions(no_rename=("liba*",)))
    assert [one.renamed for one in taken] == [False, False]
    dll = Brought(Binary("/opt/a.dll", "/opt/a.dll", (b.pe(),), "1" * 64), "PATH", True)
    assert [one.renamed for one in named([dll], [link("demo/_core.pyd", "/opt/a.dll")], RepairOptions())[0]] == [False]


def test_only_elf_files_count_as_stripped() -> None:
    elf_file = brought("/opt/liba.so.1", "1")
    dll = Brought(Binary("/opt/a.dll", "/opt/a.dll", (b.pe(),), "1" * 64), "PATH", False)
    whole, stripped = (named([elf_file, dll], [], RepairOptions(strip=tool))[0] for tool in ("", "auto"))
    assert [one.digest == other.digest for one, other in zip(whole, stripped, strict=True)] == [True, False]
