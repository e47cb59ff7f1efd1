"""cxx11-abi: a decision table, bad first."""

import pytest

from relocator.rules.cxx11_abi import check
from symbol_examples import NEW_ERROR, OLD_ERROR, flash


@pytest.mark.parametrize(
    ("wanted", "exported", "advice"),
    [
        (OLD_ERROR, NEW_ERROR, "_GLIBCXX_USE_CXX11_ABI=1"),
        (NEW_ERROR, OLD_ERROR, "_GLIBCXX_USE_CXX11_ABI=0"),
        (b"_ZN3c104nameEv", b"_ZN3c104nameB5cxx11Ev", "_GLIBCXX_USE_CXX11_ABI=1"),
        (b"_ZN3c104nameB5cxx11Ev", b"_ZN3c104nameEv", "_GLIBCXX_USE_CXX11_ABI=0"),
        (OLD_ERROR, OLD_ERROR, ""),
        (OLD_ERROR, b"_ZN3c105OtherC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", ""),
        (b"_ZN3c104nameEv", b"_ZN3c104nameEi", ""),
        (b"plain_c", b"plain_cc", ""),
    ],
)
def test_the_other_string_is_found(wanted: bytes, exported: bytes, advice: str) -> None:
    found = list(check(flash(wanted, exported)))
    assert bool(found) == bool(advice)
    assert all(advice in finding.help for finding in found)


def test_the_file_and_what_it_has_are_named() -> None:
    (finding,) = check(flash(OLD_ERROR, NEW_ERROR))
    assert finding.primary.value == "libc10.so"
    assert [where.label for where in finding.related] == [f"has {NEW_ERROR.decode()} instead"]
