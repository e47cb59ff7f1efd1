"""Builds the binaries and wheels that the tests read, and their manifest: `scripts/build_fixtures.py [--check] [KIND...]`.

A kind is a module of scripts/fixtures: its `build(folder)` makes the files and returns a row for each. `--check` builds into a temporary
folder and compares with what is kept; another version of the compiler may give other bytes.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
MANIFEST = FIXTURES / "MANIFEST.json"
KINDS = sorted(path.stem for path in (ROOT / "scripts" / "fixtures").glob("*.py") if path.stem != "__init__")

Rows = list[dict[str, Any]]


def main() -> int:
    """Build, and write the manifest or compare with it; return 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"what to build (default: all of {', '.join(KINDS)})")
    parser.add_argument("--check", action="store_true", help="compare with the kept files and write nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.kinds) - set(KINDS))
    if unknown:
        parser.error(f"unknown kind: {', '.join(unknown)}")
    kinds = options.kinds or KINDS
    if options.check:
        return check(kinds)
    kept = [row for row in manifest() if kind_of(row) not in kinds]
    rows = [row for kind in kinds for row in build(kind, FIXTURES)]
    text = json.dumps(sorted(kept + rows, key=lambda row: str(row["path"])), indent=1)
    MANIFEST.write_text(text + "\n", encoding="utf-8", newline="\n")
    print(f"{len(rows)} files, {sum((FIXTURES / row['path']).stat().st_size for row in rows)} bytes")
    return 0


def folder_of(kind: str) -> str:
    """Return the folder of a kind below tests/fixtures."""
    return kind if kind == "wheels" else f"bin/{kind}"


def kind_of(row: dict[str, Any]) -> str:
    """Return the kind that a manifest row belongs to."""
    parts = str(row["path"]).split("/")
    return parts[1] if parts[0] == "bin" else parts[0]


def manifest() -> Rows:
    """Return the kept manifest's rows, none when there is no manifest yet."""
    rows: Rows = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else []
    return rows


def build(kind: str, out: Path) -> Rows:
    """Build one kind below `out`; paths in the rows are relative to it."""
    folder = folder_of(kind)
    return [{**row, "path": f"{folder}/{row['path']}"} for row in builder(kind)(out / folder)]


def builder(kind: str) -> Callable[[Path], Rows]:
    """Return the `build` function of one module of scripts/fixtures."""
    spec = importlib.util.spec_from_file_location(kind, ROOT / "scripts" / "fixtures" / f"{kind}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[kind] = module
    spec.loader.exec_module(module)
    function: Callable[[Path], Rows] = module.build
    return function


def check(kinds: list[str]) -> int:
    """Say which files differ from the manifest, newly built or as they are kept, and return 1 when any does."""
    kept = {str(row["path"]): row["sha256"] for row in manifest() if kind_of(row) in kinds}
    with tempfile.TemporaryDirectory() as folder:
        built = {str(row["path"]): row["sha256"] for kind in kinds for row in build(kind, Path(folder))}
        wrong = sorted(path for path in kept.keys() | built.keys() if kept.get(path) != built.get(path))
        stale = [path for path in sorted(kept.keys() & built.keys()) if not same(FIXTURES / path, Path(folder) / path)]
    for path in wrong:
        print(f"{path}: {'not in the manifest' if path not in kept else 'no longer built' if path not in built else 'built differently'}")
    for path in stale:
        print(f"{path}: the kept file is another one")
    print(f"{len(built)} files built, {len(wrong)} differ from the manifest, {len(stale)} from the kept file")
    return 1 if wrong or stale else 0


def same(kept: Path, built: Path) -> bool:
    """Tell whether a kept file is there and has the bytes of the built one."""
    return kept.is_file() and kept.read_bytes() == built.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
