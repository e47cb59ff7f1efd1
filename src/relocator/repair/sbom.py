"""The list of what was brought into a wheel: CycloneDX 1.6, in .dist-info/sboms (PEP 770), one component for each file.

The bytes follow from what was brought in alone: no time, no random number, no path of the machine, everything sorted.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from relocator import __version__
from relocator.metadata import normalised
from relocator.model import ContainerFacts, Survey
from relocator.origins import Provenance
from relocator.repairs import Origin

_TOOL = "pyrelocator"
_CASELESS = frozenset({"deb", "apk", "alpm", "brew"})
"""Types of package URLs whose names and namespaces are written in lower case."""

_PEDIGREE = "The hashes are those of the file as it was taken, before names, needs and search paths were rewritten."

_Json = dict[str, Any]


class _Known(NamedTuple):
    """What an earlier document says."""

    components: Mapping[str, _Json]
    """By bom-ref."""
    needs: Mapping[str, tuple[str, ...]]
    wheel: str
    """The bom-ref of the wheel."""


def sbom_member(dist_info: str) -> str:
    """Return where the document lies."""
    return f"{dist_info}/sboms/relocator.cdx.json"


def sbom(
    survey: Survey,
    output: str,
    taken: Sequence[tuple[Origin, str]],
    provenance: Mapping[str, Provenance],
    existing: bytes | None = None,
) -> bytes | None:
    """Return the document of the finished wheel; None when nothing was brought in, so that one that is there already stays as it is.

    `survey` is that of the wheel as it is, with the outside files that its loads took; `output` is the file name of the finished wheel;
    `taken` are the files that are brought in and where they lie in the finished wheel; `existing` is the document of an earlier repair,
    whose components stay.
    """
    if not taken:
        return None
    known = _known(existing)
    members: dict[str, list[str]] = {}
    for origin, member in taken:
        members.setdefault(origin.path, []).append(member)
    fresh = {member: _component(survey, origin, member, provenance.get(origin.path)) for origin, member in taken}
    components = {**known.components, **fresh}
    wheel = _wheel(survey.container, output)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [_tool()]}, "component": wheel},
        "components": [components[ref] for ref in sorted(components)],
        "dependencies": _dependencies(survey, members, components, wheel["bom-ref"], known),
    }
    return _written(document)


def purl(kind: str, namespace: str, name: str, version: str = "", qualifiers: Iterable[tuple[str, str]] = ()) -> str:
    """Return a package URL (ECMA-427), normalised as its type wants it."""
    if kind in _CASELESS:
        namespace, name = namespace.lower(), name.lower()
    path = "/".join(_quoted(part) for part in (kind, *filter(None, namespace.split("/")), name))
    listed = "&".join(sorted(f"{key}={_quoted(value)}" for key, value in qualifiers if value))
    return f"pkg:{path}{f'@{_quoted(version)}' if version else ''}{f'?{listed}' if listed else ''}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe=":")


def _written(document: _Json) -> bytes:
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    head = ("$schema", "bomFormat", "specVersion")
    ordered = {**{key: document[key] for key in head}, "serialNumber": f"urn:uuid:{number}", **document}
    return json.dumps(ordered, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"  # a file's name may be no text


# ---- components


def _tool() -> _Json:
    return {"type": "application", "name": "relocator", "version": __version__, "purl": purl("pypi", "", _TOOL, __version__)}


def _wheel(facts: ContainerFacts, output: str) -> _Json:
    distribution = facts.distributions[0]
    url = purl("pypi", "", normalised(distribution.name), distribution.version, [("file_name", output)])
    return {"type": "library", "bom-ref": url, "name": distribution.name, "version": distribution.version, "purl": url}


def _component(survey: Survey, origin: Origin, member: str, found: Provenance | None) -> _Json:
    leaf = origin.path.rpartition("/")[2]
    place = found or Provenance("file name", "generic", "", leaf)
    told = (
        place.qualifiers if place.type != "generic" or not origin.sha256 else (*place.qualifiers, ("checksum", f"sha256:{origin.sha256}"))
    )
    properties = (
        ("relocator:member", member),
        ("relocator:origin", place.source),
        ("relocator:original-name", leaf),
        ("relocator:source-package", place.built_from),
    )
    return _without_empty(
        {
            "type": "file" if survey.binary_at(origin.path) is None else "library",
            "bom-ref": member,
            "supplier": {"name": place.supplier} if place.supplier else None,
            "name": place.name,
            "version": place.version,
            "hashes": [{"alg": "SHA-256", "content": origin.sha256}] if origin.sha256 else None,
            "purl": purl(place.type, place.namespace, place.name, place.version, told),
            "pedigree": {"notes": _PEDIGREE},
            "properties": [{"name": name, "value": value} for name, value in properties if value],
        }
    )


def _without_empty(component: _Json) -> _Json:
    return {key: value for key, value in component.items() if value}


# ---- who needs whom


def _dependencies(
    survey: Survey, members: Mapping[str, Sequence[str]], components: Mapping[str, _Json], wheel: str, known: _Known
) -> list[_Json]:
    """Return the graph: the wheel needs what its own files need, and what nobody needs by name; what is listed needs one another."""
    needs: dict[str, set[str]] = {ref: set() for ref in (wheel, *components)}
    for ref, before in known.needs.items():
        needs.get(wheel if ref == known.wheel else ref, set()).update(other for other in before if other in components)
    for importer, target in _links(survey):
        others = _refs(survey, members, components, target)
        for own in _refs(survey, members, components, importer) or (wheel,):
            needs[own].update(other for other in others if other != own)
    needs[wheel].update(set(components) - {other for others in needs.values() for other in others})
    return [_without_empty({"ref": ref, "dependsOn": sorted(others)}) for ref, others in sorted(needs.items())]


def _links(survey: Survey) -> Iterator[tuple[str, str]]:
    return ((resolution.importer, resolution.target) for load in survey.loads for resolution in load.resolutions if resolution.target)


def _refs(survey: Survey, members: Mapping[str, Sequence[str]], components: Mapping[str, _Json], path: str) -> Sequence[str]:
    """Return the components that a file is: one for each time that it is brought in, or one that was before; none for any other."""
    if path in members:
        return members[path]
    binary = survey.binary_at(path)
    return (binary.member,) if binary and binary.member in components else ()


# ---- a document that is there already


def _known(existing: bytes | None) -> _Known:
    """Return what can be understood of an earlier document."""
    document = _object(existing or b"")
    components = {item["bom-ref"]: item for item in _items(document, "components") if _is_text(item.get("bom-ref"))}
    needs = {
        item["ref"]: tuple(filter(_is_text, others))
        for item in _items(document, "dependencies")
        if _is_text(item.get("ref")) and isinstance(others := item.get("dependsOn", []), list)
    }
    metadata = document.get("metadata")
    wheel = metadata.get("component") if isinstance(metadata, dict) else None
    ref = wheel.get("bom-ref") if isinstance(wheel, dict) else None
    return _Known(components, needs, ref if isinstance(ref, str) else "")


def _object(data: bytes) -> _Json:
    try:
        found = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _items(document: _Json, key: str) -> Iterator[_Json]:
    items = document.get(key)
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
