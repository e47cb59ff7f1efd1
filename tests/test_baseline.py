"""Baselines: what makes a finding the same one in the next build, the file, and what is refused as a baseline."""

import json
import random
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders as b
from relocator.audit import suppress
from relocator.baseline import dumps, load, loads
from relocator.errors import UsageError
from relocator.findings import Certainty, Checked, Finding, Report, Severity, Suppressed, Where
from relocator.policy import Identity, Policy, Suppression, identities, identity, lasting

WHERE = Where("demo/_core.cpython-312-x86_64-linux-gnu.so", "x86_64", "DT_NEEDED", 2, "libgone.so.3", "gone@GONE_1", "not there")
FINDING = Finding("missing-library", Severity.ERROR, Certainty.CERTAIN, "needs what nothing provides", WHERE)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"position": 3}, True),
        ({"label": "absent"}, True),
        ({"member": "demo/_core.cpython-313-x86_64-linux-gnu.so"}, True),
        ({"member": "demo/_core.cpython-312-aarch64-linux-gnu.so"}, False),
        ({"member": "demo/_core.abi3.so"}, False),
        ({"member": "demo/_other.cpython-312-x86_64-linux-gnu.so"}, False),
        ({"member": "_core.cpython-312-x86_64-linux-gnu.so"}, False),
        ({"arch": "aarch64"}, False),
        ({"field": "DT_RUNPATH"}, False),
        ({"value": "libgone.so.4"}, False),
        ({"symbol": "gone@GONE_2"}, False),
    ],
)
def test_a_place_makes_a_finding_the_same_one(change: dict[str, object], same: bool) -> None:
    other = FINDING._replace(primary=WHERE._replace(**change))  # type: ignore[arg-type]
    assert (identity(other) == identity(FINDING)) == same


def test_neither_words_nor_severity_make_a_finding_another_one() -> None:
    other = FINDING._replace(message="other", help="other", severity=Severity.NOTE, certainty=Certainty.POSSIBLE, related=(WHERE,))
    assert identity(other) == identity(FINDING)
    assert identity(FINDING._replace(rule="narrow-tag")) != identity(FINDING)


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("demo-1.0.dist-info/RECORD", "demo.dist-info/RECORD"),
        ("lib/python3.12/site-packages/demo_x-1.0.post1+cu12.dist-info", "lib/python3.12/site-packages/demo_x.dist-info"),
        ("demo-1.0.data/scripts/demo", "demo.data/scripts/demo"),
        ("demo.dist-info/RECORD", "demo.dist-info/RECORD"),
        ("demo-1.0/RECORD", "demo-1.0/RECORD"),
        ("demo/x-1.0.database/y", "demo/x-1.0.database/y"),
        ("d/_c.cpython-313t-darwin.so", "d/_c.cpython-*t-darwin.so"),
        ("d/_c.cp312-win_amd64.pyd", "d/_c.cp*-win_amd64.pyd"),
        ("d/_c.cp313t-win_amd64.pyd", "d/_c.cp*t-win_amd64.pyd"),
        ("d/_c.pypy310-pp73-x86_64-linux-gnu.so", "d/_c.pypy*-pp73-x86_64-linux-gnu.so"),
        ("d/_c.cp312.so", "d/_c.cp312.so"),
        ("demo.libs/libfoo-1a2b3c4d.so.3", "demo.libs/libfoo.so.3"),
        ("demo.libs/libfoo-1a2b3c4d.3.dylib", "demo.libs/libfoo.3.dylib"),
        ("demo.libs/foo-0123456789abcdef0123456789abcdef.dll", "demo.libs/foo.dll"),
        ("demo.libs/libfoo-12345.so", "demo.libs/libfoo-12345.so"),
        ("demo.libs/libfoo-release1.so", "demo.libs/libfoo-release1.so"),
        ("", ""),
        ("GLIBC_2.17", "GLIBC_2.17"),
        ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
    ],
)
def test_what_differs_from_build_to_build_does_not_take_part(name: str, stays: str) -> None:
    assert lasting(name) == stays
    assert lasting(stays) == stays


# ---- the file


texts = st.text(max_size=12)
entries = st.frozensets(st.builds(Identity, texts, texts, texts, texts, texts, texts), max_size=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(entries)
def test_a_file_gives_back_what_was_written(known: frozenset[Identity]) -> None:
    text = dumps(known)
    assert text.isascii()
    assert loads(text.encode(), "b.json") == known


def test_a_file_is_the_same_whatever_the_order() -> None:
    known = [Identity("a", str(number), "", "", "", "") for number in range(30)]
    shuffled = random.Random(1).sample(known, 30)
    assert dumps(known) == dumps(shuffled)
    assert sorted(json.loads(dumps(shuffled))["findings"], key=lambda entry: list(entry.values())) == json.loads(dumps(known))["findings"]


def test_a_name_that_is_no_text_is_kept() -> None:
    known = identities([FINDING._replace(primary=WHERE._replace(member="d\udcff\u202e.so"))])
    assert loads(dumps(known).encode(), "") == known


def test_a_file_reads_well() -> None:
    entry = '{"rule": "a", "member": "m", "arch": "", "field": "f", "value": "v", "symbol": ""}'
    assert dumps([Identity("a", "m", "", "f", "v", "")]) == f'{{\n  "schema_version": 1,\n  "findings": [\n    {entry}\n  ]\n}}\n'
    assert dumps([]) == '{\n  "schema_version": 1,\n  "findings": []\n}\n'
    jsonschema_rs.validator_for({"required": ["schema_version", "findings"]}).validate(json.loads(dumps([])))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "b.json:1: is not JSON"),
        (b"{\n1", "b.json:2: is not JSON"),
        (b"\xff", "is not UTF-8 at byte 0"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[]", "is not a baseline"),
        (b"{}", "is not a baseline"),
        (b'{"schema_version": true, "findings": []}', "is not a baseline"),
        (b'{"schema_version": 1, "findings": {}}', "is not a baseline"),
        (b'{"schema_version": 2, "findings": []}', "has schema_version 2"),
        (b'{"schema_version": 1, "findings": [1]}', "entry 0 of findings lacks"),
        (b'{"schema_version": 1, "findings": [{"rule": "a"}]}', "entry 0 of findings lacks"),
        (b'{"schema_version": 1, "reports": [], "errors": []}', "is not a baseline"),
    ],
)
def test_what_is_no_baseline_is_refused_with_its_place(data: bytes, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(data, "b.json")
    assert words in caught.value.message
    assert "--write-baseline" in caught.value.hint


def test_a_field_of_a_later_version_is_borne() -> None:
    text = dumps(identities([FINDING])).replace('"rule"', '"since": "2027", "rule"')
    assert loads(text.encode(), "") == identities([FINDING])


def test_a_baseline_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(str(tmp_path / "gone.json"))


# ---- what it does


def judged(*findings: Finding, policy: Policy) -> Report:
    return suppress(Report("demo", "", findings, Checked()), b.survey(b.binary("demo/_core.so", b.elf())), policy)


def test_only_new_findings_count() -> None:
    new = FINDING._replace(primary=WHERE._replace(value="libnew.so.1"))
    report = judged(FINDING, new, policy=Policy(baseline=identities([FINDING])))
    assert report.findings == (new,)
    assert report.suppressed == (Suppressed(FINDING, "baseline"),)


def test_a_written_reason_goes_before_the_bare_baseline() -> None:
    policy = Policy(suppressions=(Suppression("missing-library", "known"),), baseline=identities([FINDING]))
    assert [item.by for item in judged(FINDING, policy=policy).suppressed] == ["configuration"]
    assert [item.by for item in judged(FINDING, policy=policy._replace(ignored=frozenset({"missing-library"}))).suppressed] == ["--ignore"]


def test_a_severity_that_the_project_gave_does_not_make_a_finding_new() -> None:
    policy = Policy(severities=(("missing-library", Severity.NOTE),), baseline=identities([FINDING]))
    assert not judged(FINDING, policy=policy).findings
