"""Digits depend on contents and needs alone, and tell apart what is different."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from relocator.repair.naming import Content, components, digests, shortened

GRAPHS = st.integers(1, 9).flatmap(
    lambda count: st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, count - 1), max_size=4, unique=True)), min_size=count, max_size=count
    )
)
Graph = list[tuple[str, list[int]]]


def files(graph: Graph, names: list[str]) -> dict[str, Content]:
    return {names[number]: Content(text * 64, False, tuple(names[need] for need in needs)) for number, (text, needs) in enumerate(graph)}


def unfolded(graph: Graph, number: int, depth: int) -> object:
    """What a file is and brings, some steps deep, by contents alone."""
    text, needs = graph[number]
    return (text, frozenset(unfolded(graph, need, depth - 1) for need in needs)) if depth else text


@settings(deadline=None, derandomize=True)
@given(GRAPHS, st.randoms(use_true_random=False))
def test_names_and_order_make_no_difference(graph: Graph, random: Random) -> None:
    plain = [str(number) for number in range(len(graph))]
    others = [f"/opt/{letter}/{number}" for number, letter in enumerate(random.choices("xyz", k=len(graph)))]
    one = digests(files(graph, plain))
    shuffled = list(files(graph, others).items())
    random.shuffle(shuffled)
    other = digests(dict(shuffled))
    assert [one[name] for name in plain] == [other[name] for name in others]


@settings(deadline=None, derandomize=True)
@given(GRAPHS)
def test_files_that_bring_different_contents_have_different_digits(graph: Graph) -> None:
    found = digests(files(graph, [str(number) for number in range(len(graph))]))
    for one in range(len(graph)):
        for other in range(one):
            if found[str(one)] == found[str(other)]:
                assert reached(graph, one) == reached(graph, other)


def reached(graph: Graph, number: int) -> frozenset[str]:
    """Contents of all that a file brings, itself included."""
    todo, known = [number], {number}
    while todo:
        for need in graph[todo.pop()][1]:
            if need not in known:
                known.add(need)
                todo.append(need)
    return frozenset(graph[one][0] for one in known)


@settings(deadline=None, derandomize=True)
@given(GRAPHS)
def test_files_without_circles_have_equal_digits_only_where_all_is_equal(graph: Graph) -> None:
    tree: Graph = [(text, [need for need in needs if need < number]) for number, (text, needs) in enumerate(graph)]
    found = digests(files(tree, [str(number) for number in range(len(tree))]))
    for one in range(len(tree)):
        for other in range(one):
            same = unfolded(tree, one, len(tree)) == unfolded(tree, other, len(tree))
            assert (found[str(one)] == found[str(other)]) == same


@settings(deadline=None, derandomize=True)
@given(st.lists(st.text("01", min_size=64, max_size=64), min_size=1, max_size=6))
def test_shortened_digits_never_meet(texts: list[str]) -> None:
    whole = dict(enumerate(texts))
    found = shortened({str(key): text for key, text in whole.items()})
    assert len(set(found.values())) == len(set(texts))
    assert all(texts[int(key)].startswith(digits) and len(digits) >= 8 for key, digits in found.items())


@settings(deadline=None, derandomize=True)
@given(GRAPHS)
def test_components_are_those_that_reach_one_another(graph: Graph) -> None:
    edges = {number: needs for number, (_, needs) in enumerate(graph)}

    def below(number: int) -> set[int]:
        todo, known = [number], {number}
        while todo:
            for need in edges[todo.pop()]:
                if need not in known:
                    known.add(need)
                    todo.append(need)
        return known

    found = [set(group) for group in components(edges)]
    assert sorted(number for group in found for number in group) == list(edges)
    for position, group in enumerate(found):
        for number in group:
            assert {other for other in below(number) if number in below(other)} == group
            assert below(number) <= set().union(*found[: position + 1])
