"""Whatever is edited in a PE file, and however often: the loader sees what was asked for and the file stays sound."""

import random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FIXTURES
from mutants import Mutant, looked_at, mutants, watchdog
from pe_bytes import I386, Draft, Names
from pe_edits import bound, delayed, edited, forwards, full, image, needs, plan, with_checksum, with_symbols
from relocator.backends.windows import check_layout, read
from relocator.errors import UnreadableBinary
from relocator.plans import AddNeeded, Edit, EditRefused, Patchset, RemoveNeeded, ReplaceNeeded, SetIdentity, apply_patches

PE = FIXTURES / "bin" / "pe"
MANY: tuple[tuple[bytes, Names], ...] = (b"a.dll", [b"f", 3]), (b"b.dll", [b"g"]), (b"liba.dll", [b"h"])
FORWARDS: list[tuple[bytes, int | bytes]] = [(b"p", b"liba.f"), (b"q", b"b.#4"), (b"r", 2)]


def everything(plus: bool = True) -> Draft:
    """One file with all that can be renamed."""
    return Draft(plus, 0x8664 if plus else I386).exports(b"e.dll", FORWARDS).imports(*MANY).delayed((b"d.dll", [b"i"]))


FILES = {
    **{path: (PE / path).read_bytes() for path in ("x64/ext.pyd", "x64/delay.dll", "x64/forward.dll", "x86/libb.dll", "arm64/ext.pyd")},
    "room": everything().build(),
    "no room": full(everything()),
    "no room in PE32": full(everything(plus=False)),
    "checksum": with_checksum(full(everything())),
    "symbols": with_symbols(full(everything())),
    "addresses": Draft(False, I386).delayed((b"d.dll", [b"f"]), by_rva=False).imports(*MANY).build(),
    "bound": bound(),
}

NAMES = st.from_regex(r"[A-Za-z0-9_+-]{1,60}(\.[a-z0-9]{1,4})?\.dll", fullmatch=True)
PLACES = st.sampled_from(sorted(FILES))
CALLS = settings(max_examples=60, deadline=None, derandomize=True)


class View(NamedTuple):
    """What the loader sees."""

    needed: tuple[str, ...]
    delayed: tuple[str, ...]
    forwards: tuple[str, ...]
    identity: str | None
    symbols: tuple[tuple[bytes, int | None], ...]


def view(data: bytes) -> View:
    symbols = tuple((symbol.name, symbol.ordinal) for symbol in image(data).symbols.imports())
    return View(needs(data), delayed(data), forwards(data), image(data).identity, symbols)


def modules(data: bytes) -> list[str]:
    """Return the modules that a file names, each once, as needs are written."""
    seen = view(data)
    found = [*seen.needed, *seen.delayed, *(target.rpartition(".")[0] for target in seen.forwards)]
    keys = [name if "." in name else name + ".dll" for name in found]
    return [name for number, name in enumerate(keys) if name.casefold() not in [key.casefold() for key in keys[:number]]]


def is_new(name: str, data: bytes) -> bool:
    return name.casefold() not in [module.casefold() for module in modules(data)]


def is_in_place(patchset: Patchset) -> bool:
    """Tell whether strings were written over and nothing else."""
    return all(patch.reason.endswith("in place") or patch.reason == "CheckSum" for patch in patchset.patches)


@CALLS
@given(PLACES, st.data())
def test_an_edit_and_its_inverse_restore_what_the_loader_sees(place: str, draw: st.DataObject) -> None:
    data = FILES[place]
    old = draw.draw(st.sampled_from(modules(data)))
    new = draw.draw(NAMES.filter(lambda name: is_new(name, data)))
    patchset = plan(data, ReplaceNeeded(old, new))
    after = edited(data, ReplaceNeeded(old, new))
    assert new.casefold() in [module.casefold() for module in modules(after)]
    assert old.casefold() not in [module.casefold() for module in modules(after)]
    assert not plan(after, ReplaceNeeded(old, new)), "the second time there is nothing to do"
    back = edited(after, ReplaceNeeded(new, old))
    assert view(back) == view(data)
    assert len(back) == len(after)
    if place != "bound" and is_in_place(patchset):
        assert back == data


@CALLS
@given(PLACES, st.lists(NAMES, min_size=1, max_size=6, unique_by=str.casefold), st.data())
def test_any_sequence_of_edits_gives_what_was_asked_for(place: str, names: list[str], draw: st.DataObject) -> None:
    data = FILES[place]
    for number, new in enumerate(name for name in names if is_new(name, FILES[place])):
        if not is_new(new, data):
            continue
        old = draw.draw(st.sampled_from(modules(data)))
        edits: list[Edit] = [ReplaceNeeded(old, new)]
        if image(data).identity:
            edits.append(SetIdentity(f"self{number}-{new}"))
        added = f"added{number}-{new}"
        if draw.draw(st.booleans()):
            edits.append(AddNeeded(f"{added}!symbol"))
        before, data = view(data), edited(data, *edits)
        now = view(data)
        assert now.symbols[: len(before.symbols) - len(data)] == before.symbols[: len(before.symbols) - len(data)]
        assert now.identity == (f"self{number}-{new}" if before.identity else None)
        assert now.needed == tuple(new if name.casefold() == old.casefold() else name for name in before.needed) + (
            (added,) if len(edits) > 1 + bool(before.identity) else ()
        )
        assert len(now.forwards) == len(before.forwards)
        if added in now.needed and draw.draw(st.booleans()):
            data = edited(data, RemoveNeeded(added))
            assert view(data) == now._replace(needed=now.needed[:-1], symbols=view(data).symbols)
            assert sorted(view(data).symbols) == sorted(before.symbols)


@CALLS
@given(PLACES, st.permutations(range(4)), st.lists(NAMES, min_size=4, max_size=4, unique_by=str.casefold))
def test_edits_of_one_call_give_the_same_in_any_order(place: str, order: list[int], names: list[str]) -> None:
    data = FILES[place]
    edits = [ReplaceNeeded(old, new) for old, new in zip(modules(data), names, strict=False)]
    shuffled = [edits[index] for index in order if index < len(edits)]
    assert edited(data, *edits) == edited(data, *shuffled)


def test_mutants_are_edited_or_refused() -> None:
    rng = random.Random(20)
    tried = changed = 0
    with watchdog():
        for data in FILES.values():
            regions = looked_at(data, read)
            edits = [ReplaceNeeded(name, f"longer-{'x' * 40}-{name}") for name in modules(data)]
            for _, mutant in zip(range(150), mutants(data, regions, rng), strict=False):
                tried += 1
                changed += survives(mutant, edits)
    assert tried // 10 < changed < tried, "too few mutants got through, or none was refused"


def survives(mutant: Mutant, edits: list[ReplaceNeeded]) -> bool:
    """Edit a mutant; tell whether it was changed. What comes out must be no worse than what went in."""
    try:
        patchset = plan(mutant.data, *edits)
    except (EditRefused, UnreadableBinary) as error:
        assert error.message
        return False
    except Exception as error:
        error.add_note(mutant.damage)
        raise
    new = bytes(apply_patches(mutant.data, patchset))
    before = check_layout(memoryview(mutant.data))
    if not before:
        assert check_layout(memoryview(new)) == (), mutant.damage
    assert len(new) <= len(mutant.data) + 0x20000
    return bool(patchset)
