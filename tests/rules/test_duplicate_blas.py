"""duplicate-blas: a note about pools of threads."""

import pytest

from builders import symbols
from conflict_examples import pairs, part, shared
from linked import installed
from relocator.findings import Severity
from relocator.rules.duplicate_blas import check

OPENBLAS = symbols(exports=[b"scipy_openblas_get_config64_"])
MKL = symbols(exports=[b"MKL_Get_Version"])


@pytest.mark.parametrize(
    "name", [b"openblas_get_config", b"scipy_openblas_get_config", b"scipy_openblas_get_config64_", b"bli_info_get_version_str"]
)
def test_copies_are_told_by_what_they_export_whatever_they_are_called(name: bytes) -> None:
    files = pairs(("numpy", "scipy"), "libanything", symbols(exports=[name]))
    (finding,) = check(installed(*files))
    assert finding.severity == Severity.NOTE
    assert [finding.primary.member, finding.related[0].member] == ["numpy/libanything-numpy.so", "scipy/libanything-scipy.so"]
    assert "brought by numpy" in finding.primary.label


def test_one_copy_or_a_library_of_that_name_alone_is_no_finding() -> None:
    assert list(check(installed(*pairs(("numpy",), "libopenblas", OPENBLAS)))) == []
    assert list(check(installed(*pairs(("numpy", "scipy"), "libopenblas", symbols(exports=[b"dgemm_"]))))) == []
    assert list(check(installed(*pairs(("numpy", "scipy"), "libuser", symbols(imports=[b"openblas_get_config"]))))) == []


def test_the_libraries_of_one_mkl_are_one_copy() -> None:
    pieces = [
        part("a", "libmkl_rt.so.2", "libmkl_core.so.2"),
        *(shared("a", name, table=MKL) for name in ("libmkl_rt.so.2", "libmkl_core.so.2")),
    ]
    assert list(check(installed(*pieces))) == []
    assert len(list(check(installed(*pieces, *pairs(("numpy",), "libopenblas", OPENBLAS))))) == 1


def test_a_library_that_two_packages_share_is_one_copy() -> None:
    files = [
        part("numpy", "libblas.so", rpath="$ORIGIN/../scipy"),
        part("scipy", "libblas.so"),
        shared("scipy", "libblas.so", table=OPENBLAS),
    ]
    assert list(check(installed(*files))) == []
