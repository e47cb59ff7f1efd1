"""Files that lie beside a library and belong to it."""

import hashlib
from pathlib import Path

from relocator.companions import IMPORTS, SYMBOLS, companions


def test_what_is_called_like_the_library_comes_with_it_whatever_the_case(tmp_path: Path) -> None:
    for name in ("Foo.dll", "foo.PDB", "Foo.lib", "Foo2.pdb", "foo.pdb.txt"):
        (tmp_path / name).write_bytes(name.encode())
    found = list(companions(f"{tmp_path}/Foo.dll", (SYMBOLS, IMPORTS)))
    assert [one.path for one in found] == [f"{tmp_path}/Foo.lib", f"{tmp_path}/foo.PDB"]
    assert found[1].sha256 == hashlib.sha256(b"foo.PDB").hexdigest()
    assert (found[1].size, found[1].via) == (7, "beside Foo.dll")
    assert [one.path for one in companions(f"{tmp_path}/Foo.dll", (SYMBOLS,))] == [f"{tmp_path}/foo.PDB"]


def test_a_folder_that_is_gone_gives_nothing(tmp_path: Path) -> None:
    assert not list(companions(f"{tmp_path}/gone/foo.dll", (SYMBOLS,)))
