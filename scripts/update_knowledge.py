"""Rebuilds the tables about the world from published packages: python scripts/update_knowledge.py [--check].

Each table keeps its date for as long as its facts stay the same, so that running this twice changes nothing.
"""

import argparse
import datetime
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TABLES = ("families", "linux", "providers", "stable_abi", "system_libraries", "windows")
FOLDERS = ("macos",)
"""Modules that write their own files below the folder that they are given: build(root)."""


def main() -> int:
    """Write every table, or with --check only say which would change; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a table would change")
    check = parser.parse_args().check
    changed = False
    for name, text in sorted(tables().items()):
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        changed = True
        print(f"{name}: {'differs' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return int(check and changed)


def tables() -> dict[str, str]:
    """Return the text of every table by its path in the repository."""
    found = {}
    for module in TABLES:
        for name, facts in importlib.import_module(f"knowledge.{module}").facts().items():
            found[name] = render(facts, ROOT / name)
    for module in FOLDERS:
        if (Path(__file__).parent / "knowledge" / f"{module}.py").exists():
            found.update(written_by(module))
    return found


def written_by(module: str) -> dict[str, str]:
    """Return the text of each file that a module's build writes, by its path in the repository."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        importlib.import_module(f"knowledge.{module}").build(root)
        return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*") if path.is_file()}


def render(facts: dict[str, Any], path: Path) -> str:
    """Return facts as JSON, one entry a line down to the third level, with the date since when they are so."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    since = old.pop("date", "")
    if old != facts:
        since = datetime.datetime.now(datetime.UTC).date().isoformat()
    return _lines({"source": facts["source"], "date": since, **facts}, 3) + "\n"


def _lines(value: Any, depth: int) -> str:
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    inner = ",\n".join(f"{json.dumps(key)}: {_lines(item, depth - 1)}" for key, item in value.items())
    return "{\n" + inner + "\n}"


if __name__ == "__main__":
    sys.exit(main())
