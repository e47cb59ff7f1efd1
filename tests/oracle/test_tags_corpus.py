"""The computed tag of real wheels, from a folder given with --corpus, is auditwheel's.

auditwheel needs minutes for them, so its answers are kept in auditwheel_tags.tsv beside this file.
"""

from pathlib import Path

import pytest

from relocator import tags
from relocator.containers import open_container
from relocator.survey import take_surveys

ANSWERS = dict(
    line.split("\t") for line in (Path(__file__).parent / "auditwheel_tags.tsv").read_text(encoding="utf-8").splitlines() if "\t" in line
)


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - {"wheel"}))
def test_the_computed_tag_is_auditwheels(name: str, corpus: Path) -> None:
    path = corpus / name
    if not path.exists():
        pytest.skip(f"the corpus has no {name}")
    with open_container(str(path)) as container:
        surveys = take_surveys(container)
    best = [tag for survey in surveys for tag in tags.best_tags(survey)]
    assert best[0] == ANSWERS[name]
