"""The list of what was brought in: valid, the same bytes every time, and nothing lost when a wheel is repaired again."""

import dataclasses
import hashlib
import json
import random
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MANYLINUX, SITE, binary, elf, survey
from linked import load_of
from relocator import __version__
from relocator.model import Binary, How, Needed, Resolution, Survey
from relocator.origins import Provenance
from relocator.repair.sbom import purl, sbom, sbom_member
from relocator.repairs import Origin

OUTPUT = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
PNG, ZLIB, NONE = "/usr/lib/libpng16.so.16.39.0", "/usr/lib/libz.so.1", "/opt/my libs/libown.so.2"
MEMBERS = {PNG: "demo.libs/libpng16-11111111.so.16", ZLIB: "demo.libs/libz-22222222.so.1", NONE: "demo.libs/libown-33333333.so.2"}
DEBIAN = (("arch", "amd64"), ("distro", "debian-12"))
PROVENANCE = {
    PNG: Provenance("dpkg", "deb", "debian", "libpng16-16", "1.6.39-2+deb12u1", DEBIAN, built_from="libpng1.6"),
    ZLIB: Provenance("dpkg", "deb", "debian", "zlib1g", "1:1.2.13", DEBIAN),
    NONE: Provenance("file name", "generic", "", "libown"),
}


def sha(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


def origin(path: str) -> Origin:
    return Origin(path, sha(path), 10, "ld.so.cache")


def need(importer: str, target: str) -> Resolution:
    return Resolution(importer, 0, Needed(target.rpartition("/")[2]), "x86_64", How.OUTSIDE, target, "ld.so.cache")


CORE = f"{SITE}/demo/_core.so"


def wheel(*paths: str, own: Iterable[Binary] = (), needs: Iterable[Resolution] = ()) -> Survey:
    """A wheel whose extension module needs png and own, png needing zlib; paths are what lies outside."""
    outside = [Binary(path, path, (elf(),)) for path in paths]
    links = tuple(needs) or (need(CORE, PNG), need(PNG, ZLIB), need(CORE, NONE))
    return survey(binary("demo/_core.so", elf()), *own, *outside, loads=[load_of(*links)])


def written(*paths: str, existing: bytes | None = None, **facts: Any) -> bytes:
    taken = [(origin(path), MEMBERS[path]) for path in paths]
    data = sbom(wheel(*paths, **facts), OUTPUT, taken, PROVENANCE, existing)
    assert data is not None
    return data


def document(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    assert isinstance(found, dict)
    return found


def components(data: bytes) -> dict[str, dict[str, Any]]:
    return {component["bom-ref"]: component for component in document(data)["components"]}


def graph(data: bytes) -> dict[str, list[str]]:
    return {item["ref"]: item.get("dependsOn", []) for item in document(data)["dependencies"]}


WHEEL = f"pkg:pypi/demo@1.0?file_name={OUTPUT}"


# ---- what is in it


def test_each_file_is_one_component_with_hash_purl_and_origin() -> None:
    component = components(written(PNG, ZLIB, NONE))[MEMBERS[PNG]]
    assert component["type"] == "library"
    assert (component["name"], component["version"]) == ("libpng16-16", "1.6.39-2+deb12u1")
    assert component["purl"] == "pkg:deb/debian/libpng16-16@1.6.39-2%2Bdeb12u1?arch=amd64&distro=debian-12"
    assert component["hashes"] == [{"alg": "SHA-256", "content": sha(PNG)}]
    assert {item["name"]: item["value"] for item in component["properties"]} == {
        "relocator:member": MEMBERS[PNG],
        "relocator:origin": "dpkg",
        "relocator:original-name": "libpng16.so.16.39.0",
        "relocator:source-package": "libpng1.6",
    }


def test_a_file_of_no_package_is_known_by_its_contents() -> None:
    component = components(written(NONE))[MEMBERS[NONE]]
    assert component["purl"] == f"pkg:generic/libown?checksum=sha256:{sha(NONE)}"
    assert "version" not in component


def test_a_file_that_nobody_looked_up_has_a_component_too() -> None:
    data = sbom(wheel(PNG), OUTPUT, [(origin(PNG), "demo.libs/a.so")], {})
    assert data is not None
    assert components(data)["demo.libs/a.so"]["name"] == "libpng16.so.16.39.0"


def test_a_file_that_is_gone_has_no_hash() -> None:
    data = sbom(wheel(PNG), OUTPUT, [(origin(PNG)._replace(sha256=""), "demo.libs/a.so")], {})
    assert data is not None
    assert "hashes" not in components(data)["demo.libs/a.so"]


def test_what_is_no_binary_is_a_file() -> None:
    data = sbom(wheel(), OUTPUT, [(origin("/opt/a.pdb"), "demo.libs/a.pdb")], {})
    assert data is not None
    assert components(data)["demo.libs/a.pdb"]["type"] == "file"


def test_the_supplier_of_a_version_resource_is_named() -> None:
    said = Provenance("version resource", "generic", "", "msvcp140", "14.38", supplier="Microsoft Corporation")
    data = sbom(wheel(PNG), OUTPUT, [(origin(PNG), "a.dll")], {PNG: said})
    assert data is not None
    assert components(data)["a.dll"]["supplier"] == {"name": "Microsoft Corporation"}


def test_wheel_and_tool_are_named() -> None:
    found = document(written(PNG))
    assert found["metadata"]["component"] == {"type": "library", "bom-ref": WHEEL, "name": "demo", "version": "1.0", "purl": WHEEL}
    (tool,) = found["metadata"]["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("relocator", __version__)


def test_the_graph_says_who_needs_whom() -> None:
    assert graph(written(PNG, ZLIB, NONE)) == {
        WHEEL: [MEMBERS[NONE], MEMBERS[PNG]],
        MEMBERS[PNG]: [MEMBERS[ZLIB]],
        MEMBERS[ZLIB]: [],
        MEMBERS[NONE]: [],
    }


def test_what_nobody_needs_by_name_is_the_wheels_own_need() -> None:
    assert graph(written(PNG, ZLIB, needs=[need(PNG, PNG)]))[WHEEL] == [MEMBERS[PNG], MEMBERS[ZLIB]]


def test_a_cycle_is_told_as_it_is() -> None:
    found = graph(written(PNG, ZLIB, needs=[need(PNG, ZLIB), need(ZLIB, PNG), need(CORE, PNG)]))
    assert (found[MEMBERS[PNG]], found[MEMBERS[ZLIB]]) == ([MEMBERS[ZLIB]], [MEMBERS[PNG]])


def test_a_file_that_is_brought_in_twice_is_two_components() -> None:
    taken = [(origin(PNG), "demo.libs/a.so"), (origin(PNG), "demo.libs/b.so"), (origin(ZLIB), MEMBERS[ZLIB])]
    data = sbom(wheel(PNG, ZLIB), OUTPUT, taken, PROVENANCE)
    assert data is not None
    consistent(data)
    links = {WHEEL: ["demo.libs/a.so", "demo.libs/b.so"], "demo.libs/a.so": [MEMBERS[ZLIB]], "demo.libs/b.so": [MEMBERS[ZLIB]]}
    assert graph(data) == {**links, MEMBERS[ZLIB]: []}


def test_nothing_brought_in_is_no_document() -> None:
    assert sbom(wheel(), OUTPUT, [], {}) is None
    assert sbom(wheel(), OUTPUT, [], {}, written(PNG)) is None


def test_it_lies_where_pep_770_has_it() -> None:
    assert sbom_member("demo-1.0.dist-info") == "demo-1.0.dist-info/sboms/relocator.cdx.json"


# ---- the same bytes


def test_neither_order_nor_folder_nor_rule_of_the_search_matters() -> None:
    first = written(PNG, ZLIB, NONE)
    taken = [(origin(path), MEMBERS[path]) for path in (NONE, ZLIB, PNG)]
    random.Random(1).shuffle(taken)
    assert sbom(wheel(ZLIB, NONE, PNG), OUTPUT, taken, dict(reversed(PROVENANCE.items()))) == first
    elsewhere = {path: f"/somewhere/else{path}" for path in MEMBERS}
    moved = [(origin(path)._replace(path=elsewhere[path], via="--search"), MEMBERS[path]) for path in MEMBERS]
    links = [need(CORE, elsewhere[PNG]), need(elsewhere[PNG], elsewhere[ZLIB]), need(CORE, elsewhere[NONE])]
    assert sbom(wheel(*elsewhere.values(), needs=links), OUTPUT, moved, {elsewhere[p]: PROVENANCE[p] for p in MEMBERS}) == first


def test_no_path_of_this_machine_and_no_time_is_in_it() -> None:
    data = written(PNG, ZLIB, NONE)
    assert b"/usr/lib" not in data
    assert b"/opt" not in data
    assert b"timestamp" not in data


def test_other_contents_have_another_serial_number() -> None:
    assert document(written(PNG))["serialNumber"] != document(written(ZLIB))["serialNumber"]


def test_it_is_text_that_ends_with_a_line_end_whatever_files_are_called() -> None:
    data = sbom(wheel(PNG), OUTPUT, [(origin(PNG), "demo.libs/\udcff\U0001f40d.so")], {PNG: Provenance("x", "generic", "", "\ud800")})
    assert data is not None
    assert data.endswith(b"}\n")
    ((ref, component),) = components(data).items()
    assert (ref, component["name"]) == ("demo.libs/?\U0001f40d.so", "?")


# ---- a second run


def second(existing: bytes | None) -> bytes:
    """The wheel of the first run, whose module now needs zlib as well."""
    png = binary(MEMBERS[PNG], elf())
    return written(ZLIB, existing=existing, own=[png], needs=[need(CORE, png.path), need(png.path, ZLIB)])


def test_a_second_run_keeps_what_was_there() -> None:
    found = second(written(PNG))
    assert components(found)[MEMBERS[PNG]] == components(written(PNG))[MEMBERS[PNG]]
    assert graph(found) == {WHEEL: [MEMBERS[PNG]], MEMBERS[PNG]: [MEMBERS[ZLIB]], MEMBERS[ZLIB]: []}


def test_two_runs_list_what_one_run_would_have_listed() -> None:
    assert second(written(PNG)) == written(PNG, ZLIB)


def test_the_wheel_is_called_by_its_new_name_only() -> None:
    renamed = written(PNG).replace(OUTPUT.encode(), b"demo-1.0-cp312-cp312-linux_x86_64.whl")
    assert b"linux_x86_64" not in second(renamed).replace(b"manylinux_2_17_x86_64", b"")


@pytest.mark.parametrize(
    "existing",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"components": 1, "dependencies": {}, "metadata": []}',
        b'{"components": [1, {}, {"bom-ref": 1}], "metadata": {"component": 1}}',
        b'{"dependencies": [1, {"ref": 1}, {"ref": "a", "dependsOn": 1}]}',
        b'{"components": [{"bom-ref": "x", "type": NaN}]}',
        b'{"components": [{"bom-ref": "x", "n": ' + b"1" * 5000 + b"}]}",
        b"[" * 100_000,
    ],
)
def test_a_document_that_makes_no_sense_is_replaced(existing: bytes) -> None:
    assert second(existing) == second(None)


# ---- package URLs


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("deb", "Debian", "libstdc++6", "12.2.0-14"), "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14"),
        (("deb", "debian", "zlib1g", "1:1.2.13.dfsg-1~x"), "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1~x"),
        (("rpm", "fedora", "Xaw3d", "1-2", (("epoch", "2"), ("arch", ""))), "pkg:rpm/fedora/Xaw3d@1-2?epoch=2"),
        (("brew", "owner/things", "postgresql@12", "12.17"), "pkg:brew/owner/things/postgresql%4012@12.17"),
        (("generic", "", "a b/c?d#e%f", ""), "pkg:generic/a%20b%2Fc%3Fd%23e%25f"),
        (("conda", "", "x", "1", (("subdir", "linux-64"), ("build", "h_0"))), "pkg:conda/x@1?build=h_0&subdir=linux-64"),
    ],
)
def test_package_urls(parts: tuple[Any, ...], expected: str) -> None:
    assert purl(*parts) == expected


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8).filter(
    lambda t: t.strip("/") == t and "//" not in t
)


@given(kind=st.sampled_from(["deb", "rpm", "apk", "alpm", "generic", "conda"]), name=TEXT, version=TEXT, value=TEXT)
def test_another_implementation_writes_the_same_url(kind: str, name: str, version: str, value: str) -> None:
    packageurl = pytest.importorskip("packageurl")
    known = packageurl.PackageURL(kind, "x" if kind in ("deb", "rpm", "apk", "alpm") else None, name, version, {"arch": value})
    read = packageurl.PackageURL.from_string(purl(kind, known.namespace or "", name, version, [("arch", value)]))
    assert (read.type, read.namespace, read.version, read.qualifiers) == (known.type, known.namespace, known.version, known.qualifiers)
    assert read.name == (known.name.lower() if kind == "deb" else known.name)


# ---- the schema


def schema_errors(data: bytes) -> list[str]:
    """Judge by CycloneDX's own schema, as cyclonedx-python-lib brings it."""
    jsonschema = pytest.importorskip("jsonschema_rs")
    pytest.importorskip("cyclonedx")
    folder = files("cyclonedx") / "schema" / "_res"
    parts = {name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in ("bom-1.6", "spdx", "jsf-0.82")}
    base = "http://cyclonedx.org/schema/"
    registry = jsonschema.Registry([(f"{base}{name}.SNAPSHOT.schema.json", parts[name]) for name in ("spdx", "jsf-0.82")])
    validator = jsonschema.validator_for(parts["bom-1.6"], registry=registry, validate_formats=True)
    return [error.message for error in validator.iter_errors(json.loads(data))]


DOCUMENTS = {
    "one": lambda: written(PNG),
    "all": lambda: written(PNG, ZLIB, NONE),
    "again": lambda: second(written(PNG)),
    "odd": lambda: sbom(wheel(PNG), "d\u00e9mo \udcff.whl", [(origin("/\u00e9 \udcff.so"), "\u00e9 \udcff.so")], {}) or b"",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_valid(name: str) -> None:
    data = DOCUMENTS[name]()
    assert schema_errors(data) == []
    consistent(data)


@pytest.mark.parametrize(
    "change", [{"bomFormat": "X"}, {"serialNumber": "1"}, {"components": [{"name": "x"}]}, {"unknown": 1}, {"dependencies": [{}]}]
)
def test_the_schema_finds_what_is_wrong(change: dict[str, Any]) -> None:
    assert schema_errors(json.dumps({**document(written(PNG)), **change}).encode())


def consistent(data: bytes) -> None:
    """What no schema says: references are unique and lead somewhere, and everything can be reached from the wheel."""
    found = document(data)
    assert list(found)[:3] == ["$schema", "bomFormat", "specVersion"]
    refs = [found["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in found["components"])]
    assert len(refs) == len(set(refs))
    assert refs[1:] == sorted(refs[1:])
    links = graph(data)
    assert list(links) == sorted(refs)
    assert all(others == sorted(set(others)) and set(others) <= set(refs) for others in links.values())
    reached, fresh = set(), {refs[0]}
    while fresh:
        reached |= fresh
        fresh = {other for ref in fresh for other in links[ref]} - reached
    assert reached == set(refs)


def test_an_environment_without_a_tag_is_no_matter() -> None:
    bare = dataclasses.replace(wheel(PNG), promises=(MANYLINUX,))
    assert sbom(bare, OUTPUT, [(origin(PNG), MEMBERS[PNG])], PROVENANCE) == written(PNG)
