"""What Linux platforms promise, taken as facts from auditwheel's released policy data and Android's list of stable native libraries."""

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any

TARGET = "src/relocator/backends/linux/promises.json"

# https://developer.android.com/ndk/guides/stable_apis, what it lists beyond the policy data: API level -> libraries
ANDROID_STABLE = {
    21: ("libGLESv3.so", "libstdc++.so"),
    26: ("libnativewindow.so",),
    29: ("libamidi.so", "libbinder_ndk.so"),
    31: ("libicu.so", "libnativehelper.so"),
}

Policies = list[dict[str, Any]]


def facts() -> dict[str, dict[str, Any]]:
    """Return the data by file, relative to the repository, without its date."""
    manylinux, musllinux, android = (_policies(f"{name}-policy.json") for name in ("manylinux", "musllinux", "android"))
    return {
        TARGET: {
            "source": f"policy data of auditwheel {version('auditwheel')}; Android NDK, Native APIs",
            "manylinux": {
                "levels": [[_number(p), *p["aliases"]] for p in manylinux],
                "libraries": _added([(_number(p), p["lib_whitelist"]) for p in manylinux]),
                "refused": _refused(manylinux),
                "versions": {arch: _versions(manylinux, arch) for arch in _arches(manylinux)},
            },
            "musllinux": {
                "levels": [[_number(p), *p["aliases"]] for p in musllinux],
                "libraries": _added([(_number(p), p["lib_whitelist"]) for p in musllinux]),
                "refused": _refused(musllinux),
            },
            "android": {"libraries": _android(android)},
        }
    }


def _policies(name: str) -> Policies:
    """Return the policies of one file but the plain "linux" one, most portable first."""
    policies = json.loads((files("auditwheel") / "policy" / name).read_text(encoding="utf-8"))
    return sorted((p for p in policies if p["priority"]), key=lambda p: -p["priority"])


def _number(policy: dict[str, Any]) -> str:
    """Return "2_17" for "manylinux_2_17"."""
    return str(policy["name"]).partition("_")[2]


def _arches(policies: Policies) -> list[str]:
    return sorted({arch for policy in policies for arch in policy["symbol_versions"]})


def _added(levels: list[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Return what each level has beyond the one before; a level never loses anything."""
    known: set[str] = set()
    added = {}
    for level, names in levels:
        if not known <= set(names):
            raise ValueError(f"{level} lost {sorted(known - set(names))}")
        if new := sorted(set(names) - known):
            added[level] = new
        known |= set(names)
    return added


def _versions(policies: Policies, arch: str) -> dict[str, dict[str, str]]:
    """Return, by level and prefix, the symbol versions that are new there: {"2_17": {"GLIBC": "2.13 2.14"}}."""
    levels = [p for p in policies if arch in p["symbol_versions"]]
    result: dict[str, dict[str, str]] = {_number(p): {} for p in levels}
    for prefix in sorted({prefix for p in levels for prefix in p["symbol_versions"][arch]}):
        for level, new in _added([(_number(p), p["symbol_versions"][arch].get(prefix, [])) for p in levels]).items():
            result[level][prefix] = " ".join(sorted(new, key=_natural))
    return result


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in text.split("."))


def _refused(policies: Policies) -> list[list[str]]:
    """Return rows of library, last level that refuses them, symbols; a symbol once allowed is never refused again."""
    rows: dict[tuple[str, str], list[str]] = {}
    for library in sorted({library for p in policies for library in p["blacklist"]}):
        for symbol in sorted({s for p in policies for s in p["blacklist"].get(library, [])}):
            refusing = [symbol in p["blacklist"].get(library, []) for p in policies]
            last = len(policies) - 1 - refusing[::-1].index(True)
            if not all(refusing[: last + 1]):
                raise ValueError(f"{symbol} of {library} is refused again after it was allowed")
            rows.setdefault((library, _number(policies[last])), []).append(symbol)
    return [[library, last, " ".join(symbols)] for (library, last), symbols in sorted(rows.items())]


def _android(policies: Policies) -> dict[str, list[str]]:
    levels = {int(_number(p)): set(p["lib_whitelist"]) for p in policies}
    wanted = sorted({*levels, *ANDROID_STABLE})
    grown = []
    for api in wanted:
        listed = [names for level, names in levels.items() if level <= api]
        stable = {name for level, names in ANDROID_STABLE.items() if level <= api for name in names}
        grown.append((str(api), sorted(set[str]().union(*listed, stable))))
    return _added(grown)
