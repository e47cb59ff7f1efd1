"""Which of the answers that loads give to one need counts, and which of them differ."""

import pytest

from builders import SITE
from linked import answer, load_of, module
from relocator.model import How, Resolution
from relocator.repair.closures import Found, best, rivals
from relocator.search_order import ELSEWHERE

CORE = module("liba.so.1")
LOADS = [load_of(root="demo/_one.so"), load_of(root=CORE.member), load_of(root="demo/_two.so")]
"""The second one opens the importer alone."""


def given(how: How, target: str = "", via: str = "DT_RPATH") -> Resolution:
    return answer(CORE, how, via=via, target=target or None)


ONE, TWO, FAR = given(How.BUNDLED, "/one"), given(How.OUTSIDE, "/two"), given(How.BUNDLED, "/far", f"{ELSEWHERE}: x")
MISSING, UNDECIDED, PROMISED = given(How.MISSING), given(How.UNDECIDED), given(How.PROMISED)


@pytest.mark.parametrize(
    ("found", "position"),
    [
        ({0: ONE, 1: TWO, 2: ONE}, 1),
        ({0: ONE, 2: TWO}, 0),
        ({2: ONE, 0: TWO}, 0),
        ({0: ONE, 1: MISSING}, 0),
        ({0: UNDECIDED, 2: PROMISED}, 2),
        ({1: FAR, 2: ONE}, 2),
        ({1: MISSING, 2: FAR}, 2),
        ({0: FAR, 1: FAR}, 1),
        ({0: MISSING, 1: UNDECIDED}, 1),
    ],
    ids=[
        "that of the file opened alone",
        "else the first load's",
        "whatever the order they are noted in",
        "any before none",
        "a promise is an answer",
        "the loader's before the search's",
        "the search's before none",
        "of those of the search that of the file opened alone",
        "of none that of the file opened alone",
    ],
)
def test_the_answer_that_counts(found: Found, position: int) -> None:
    assert best(found, LOADS) == position


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({0: ONE, 1: ONE, 2: MISSING}, (ONE,)),
        ({0: ONE, 1: TWO}, (ONE, TWO)),
        ({0: ONE, 1: FAR}, (ONE,)),
        ({0: FAR, 1: MISSING}, (FAR,)),
        ({0: PROMISED, 1: given(How.EXPECTED)}, (PROMISED,)),
        ({0: PROMISED, 1: ONE}, (PROMISED, ONE)),
        ({0: MISSING}, ()),
    ],
)
def test_answers_that_differ_are_those_of_which_the_finished_wheel_has_another_file(found: Found, expected: tuple[Resolution, ...]) -> None:
    assert rivals(found) == expected


def test_the_root_of_the_second_load_is_the_importer() -> None:
    assert LOADS[1].root == CORE.path == f"{SITE}/demo/_core.so"
