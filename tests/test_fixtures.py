"""The kept fixtures are those that their manifest describes."""

import hashlib
import json

from conftest import FIXTURES


def test_every_fixture_is_in_the_manifest_and_has_its_hash() -> None:
    rows = json.loads((FIXTURES / "MANIFEST.json").read_text(encoding="utf-8"))
    listed = {row["path"]: row["sha256"] for row in rows}
    kept = [path for folder in ("bin", "wheels") for path in (FIXTURES / folder).rglob("*") if path.is_file()]
    assert {path.relative_to(FIXTURES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept} == listed


def test_every_row_says_what_the_fixture_shows_and_names_no_place_of_the_machine_that_built_it() -> None:
    text = (FIXTURES / "MANIFEST.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    assert all(row["shows"] and row["source"] and row["compiler"] for row in rows)
    assert not any("see PATCHES" in row["shows"] for row in rows)
    assert "/tmp/" not in text and "/home/" not in text and str(FIXTURES) not in text
