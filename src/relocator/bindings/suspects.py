"""Which file should have had a missing symbol, and what it has instead."""

from typing import NamedTuple

from relocator.bindings import Missing, definers, missing, offered
from relocator.bindings.likeness import Starting, nearest, prefix_of, string_abi, twin
from relocator.findings import Where
from relocator.model import Binary, Survey

_LOOKED_AT = 32
"""Symbols of one file for which other spellings are searched."""


class Suspect(NamedTuple):
    """A file and why it is named."""

    binary: Binary
    has: bytes
    """The symbol that it has instead; b"" when it defines the missing one, and is not loaded."""


def suspect(survey: Survey, item: Missing) -> Suspect | None:
    """Return who defines the first symbol without being loaded; else who of the loaded ones has the one most like it."""
    name = item.names[0]
    elsewhere = [binary for binary in definers(survey, name, item.image.arch) if binary.path not in item.load.order]
    if elsewhere:
        return Suspect(elsewhere[0], b"")
    found: list[Suspect] = []
    for binary, image in offered(survey, item.load):
        if binary.owner and binary.path != item.importer.path and (item.provider is None or item.provider.path == binary.path):
            like = nearest(name, (export.name for export in image.symbols.defines(Starting(prefix_of(name)))))
            if like:
                found.append(Suspect(binary, like))
    best = nearest(name, (one.has for one in found))
    return next((one for one in found if one.has == best), None)


def other_strings(survey: Survey) -> dict[tuple[str, str], dict[bytes, Suspect]]:
    """Return, by importer and architecture, the missing symbols that a loaded file has with the other std::string, and who has them."""
    if "bindings.strings" not in survey.memo:
        survey.memo["bindings.strings"] = _other_strings(survey)
    found: dict[tuple[str, str], dict[bytes, Suspect]] = survey.memo["bindings.strings"]
    return found


def _other_strings(survey: Survey) -> dict[tuple[str, str], dict[bytes, Suspect]]:
    found: dict[tuple[str, str], dict[bytes, Suspect]] = {}
    for item in missing(survey):
        for name in [name for name in item.names if name.startswith(b"_Z")][:_LOOKED_AT]:
            prefix = name[: max(string_abi(name)[1], 4)] if string_abi(name)[0] else prefix_of(name)
            for binary, image in offered(survey, item.load):
                prefix = prefix.removesuffix(b"B5cxx11")
                other = twin(name, (export.name for export in image.symbols.defines(Starting(prefix))))
                if other and binary.path != item.importer.path:
                    found.setdefault((item.importer.path, item.image.arch), {})[name] = Suspect(binary, other)
                    break
    return found


def place(item: Missing, names: tuple[bytes, ...], value: str = "") -> Where:
    """Return where symbols are asked for: the first one, and how many more."""
    versions = dict(zip(item.names, item.versions, strict=True))
    spelled = [text(name) + (f"@{text(versions[name])}" if versions.get(name) else "") for name in names]
    return Where(item.importer.member, item.image.arch, "import", None, value, spelled[0], more(spelled[1:]))


def more(names: list[str]) -> str:
    """Return "with 3 more: a, b, ..." for what comes after the first."""
    if not names:
        return ""
    listed = ", ".join(names[:2])
    return f"with {len(names)} more: {listed}{', ...' if len(names) > 2 else ''}"


def text(name: bytes) -> str:
    """Return a symbol's name as text."""
    return name.decode("utf-8", "surrogateescape")
