"""The computed tag of real wheels is auditwheel's; runs where the environment variable RELOCATOR_CORPUS names a folder of wheels.

auditwheel needs minutes for them, so its answers are kept in auditwheel_tags.tsv beside this file.
"""

import os
from pathlib import Path

import pytest

from relocator import tags
from relocator.containers import open_container
from relocator.survey import take_surveys

CORPUS = os.environ.get("RELOCATOR_CORPUS", "")
ANSWERS = dict(
    line.split("\t") for line in (Path(__file__).parent / "auditwheel_tags.tsv").read_text(encoding="utf-8").splitlines() if "\t" in line
)


@pytest.mark.skipif(not CORPUS, reason="RELOCATOR_CORPUS names no folder of wheels")
@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - {"wheel"}))
def test_the_computed_tag_is_auditwheels(name: str) -> None:
    path = Path(CORPUS, name)
    if not path.exists():
        pytest.skip(f"the corpus has no {name}")
    with open_container(str(path)) as container:
        surveys = take_surveys(container)
    best = [tag for survey in surveys for tag in tags.best_tags(survey)]
    assert best[0] == ANSWERS[name]
