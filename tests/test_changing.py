"""The bytes that a plan makes of members and outside files."""

import hashlib
from pathlib import Path

from builders import survey
from needy import SYSTEMS, needy
from relocator.archives import open_archive
from relocator.backends import backend_for
from relocator.changing import changed
from relocator.model import Binary, Format
from relocator.plans import SetIdentity
from relocator.repairs import CopyIn, Origin, Plan


def test_what_is_brought_in_says_what_was_verified_and_read(tmp_path: Path) -> None:
    library = next(path for path in sorted(SYSTEMS["linux"].folder.glob("lib*.so*")))
    data = library.read_bytes()
    images = backend_for(Format.ELF).read(memoryview(data))
    sha256 = hashlib.sha256(data).hexdigest()
    outside = Binary(str(library), str(library), images, sha256, len(data))
    origin = Origin(str(library), sha256, len(data), "--search")
    plan = Plan("", "", (CopyIn("demo.libs/liba-1a2b3c4d.so", origin, (SetIdentity("liba-1a2b3c4d.so"),), "needed"),))
    archive = open_archive(needy(tmp_path).read_bytes(), 1 << 30)
    change = changed(archive, survey(outside), plan, "normal")["demo.libs/liba-1a2b3c4d.so"]
    assert change.mode == 0o755
    assert not change.verified.clauses
    new = change.content()
    assert bytes(new) != data
    assert "our reader sees what was planned" in change.verified.clauses
    assert [image.identity for image in change.verified.images] == ["liba-1a2b3c4d.so"]
