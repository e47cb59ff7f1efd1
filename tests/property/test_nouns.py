"""Every noun is a plain value: it pickles, and what comes out equals what went in."""

import dataclasses
import inspect
import pickle
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import FIXTURES
from relocator import configuration, errors, facts, findings, loading, model, native, policy, target
from relocator.backends import identify
from relocator.errors import UnreadableBinary
from relocator.symbols import NoSymbols, SymbolTable

MODULES = (model, findings, native, target, loading, facts, policy, configuration)
NOT_VALUES = {findings.Rule}
"""Holds a function."""

st.register_type_strategy(SymbolTable, st.builds(NoSymbols))
st.register_type_strategy(str, st.text(st.characters(codec=None), max_size=8))  # surrogates too: names are decoded so


def nouns(module: ModuleType) -> list[type]:
    classes = [value for _, value in inspect.getmembers(module, inspect.isclass) if value.__module__ == module.__name__]
    return [c for c in classes if c not in NOT_VALUES and (dataclasses.is_dataclass(c) or hasattr(c, "_fields"))]


NOUNS = [noun for module in MODULES for noun in nouns(module)]


def test_the_nouns_are_found() -> None:
    assert {model.Survey, model.Image, findings.Finding, native.ElfFacts, target.Promises, loading.Process} <= set(NOUNS)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_a_noun_survives_pickling(noun: type) -> None:
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.from_type(noun))
    def survives(value: object) -> None:
        assert pickle.loads(pickle.dumps(value)) == value

    survives()


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if dataclasses.is_dataclass(noun)], ids=lambda noun: noun.__name__)
def test_a_dataclass_is_frozen_and_slotted(noun: type) -> None:
    assert noun.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(noun, "__dict__") or "__slots__" in vars(noun)


@pytest.mark.parametrize(
    "error",
    [
        errors.UsageError("no such rule", "did you mean"),
        errors.ContainerError("no such file"),
        errors.UnreadableBinary("PT_DYNAMIC", "needs 8 bytes", 64),
        errors.InternalError("a probe is missing", "report it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_back_from_a_worker(error: errors.RelocatorError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.hint, vars(copy)) == (type(error), str(error), error.hint, vars(error))


@pytest.mark.parametrize("kind", ["elf", "macho", "pe"])
def test_an_image_read_from_a_file_survives_pickling_and_leaves_what_it_decoded_behind(kind: str) -> None:
    seen = 0
    for path in sorted((FIXTURES / "bin" / kind).rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        backend = identify(data[:64])
        try:
            images = backend.read(memoryview(data)) if backend else ()
        except UnreadableBinary:
            continue
        for image in images:
            raw = pickle.dumps(image)
            copy = pickle.loads(raw)
            assert copy == image
            decoded = image.symbols.imports(), image.symbols.exports()
            assert (copy.symbols.imports(), copy.symbols.exports()) == decoded
            assert copy == image
            assert len(pickle.dumps(image)) == len(raw)
            seen += 1
    assert seen
