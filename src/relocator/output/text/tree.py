"""Loads as text: what each root brings into its process, by which rule of the loader, and what it looked for in vain."""

from collections.abc import Iterable, Mapping, Sequence

from relocator.facts import Forest
from relocator.findings import Failure
from relocator.model import ContainerFacts, How, Load, NeedKind, Resolution
from relocator.paint import View, api_sets_counted, counted, printable, short_path, short_text, shortened

TRAIL = 8
LIKE = 3

_ROLE = {How.MISSING: "error", How.OUTSIDE: "warning", How.UNDECIDED: "warning"}
_SAID = {  # what is in the package needs no word
    How.PROVIDED: "in another package",
    How.EXPECTED: "expected from a dependency",
    How.OUTSIDE: "only outside",
    How.UNDECIDED: "not judged",
    How.MISSING: "MISSING",
}


def render_tree(forests: Sequence[Forest], failures: Sequence[Failure], view: View) -> str:
    """Render every forest; what failed is told by `text.failures`."""
    return "\n".join([_forest(forest, view) for forest in forests])


def _forest(forest: Forest, view: View) -> str:
    target = f" for {printable(forest.target.tag)}" if forest.target.tag else ""
    blocks = [f"{view.style(printable(forest.container.subject), 'strong')}{target}"]
    if not forest.loads:
        blocks.append("  no binary that this target's loader loads")
    teller = _Teller(forest.container, view)
    blocks += ["\n".join(teller.load(alike)) for alike in _alike(forest.loads, view)]
    if forest.inputs:
        used = [f"    {printable(path)}  sha256 {digest}" for path, digest in forest.inputs]
        blocks.append("\n".join(["  files used from outside:", *used]))
    return "\n\n".join(blocks) + "\n"


def _alike(loads: Iterable[Load], view: View) -> list[list[Load]]:
    """Group the loads whose roots bring the same, whatever they take from the system; with -v every load stands alone."""
    groups: dict[object, list[Load]] = {}
    for load in loads:
        brought = tuple(_told(edge, load.root) for edge in load.resolutions if edge.importer != load.root or edge.how != How.PROMISED)
        groups.setdefault((load.root, load.arch) if view.verbose else (load.arch, load.loader, brought), []).append(load)
    return list(groups.values())


def _told(edge: Resolution, root: str) -> object:
    return edge.importer if edge.importer != root else "", edge.needed, edge.how, edge.target


class _Teller:
    """Tells the loads of one package; knows which subtrees it has told already."""

    def __init__(self, facts: ContainerFacts, view: View) -> None:
        self._facts = facts
        self._view = view
        self._known: set[object] = set()

    def load(self, alike: Sequence[Load]) -> list[str]:
        """Return the lines for one load, and for the names of those that are like it."""
        load, style = alike[0], self._view.style
        brings = f"; brings {counted(len(load.order) - 1, 'file')}" if len(load.order) > 1 else ""
        lines = [f"  {style(self._name(load.root), 'strong')} ({printable(load.arch)}, {load.loader}){brings}"]
        if len(alike) > 1:
            names = shortened([self._name(other.root) for other in alike[1:]], LIKE, "file")
            lines += [f"    the same for {counted(len(alike) - 1, 'other file')}:", *(f"      {name}" for name in names)]
        edges: dict[str, list[Resolution]] = {}
        for edge in load.resolutions:
            edges.setdefault(edge.importer, []).append(edge)
        system = [edge for other in alike for edge in other.resolutions if edge.importer == other.root]
        return lines + self._from_system(system, 2) + self._below(load.root, edges)

    def _below(self, root: str, edges: Mapping[str, Sequence[Resolution]]) -> list[str]:
        """Return the lines for all that a file brings, depth first; a subtree told before is told by a word."""
        self._known.add(_subtree(root, edges))
        lines: list[str] = []
        pending = _pending(root, edges, 2)
        while pending:
            edge, depth = pending.pop()
            subtree = _subtree(edge.target, edges) if edge.target else None
            again = subtree in self._known and bool(_pending(edge.target or "", edges, 0))
            lines += self._edge(edge, "  " * depth, again=again)
            if edge.target and subtree not in self._known:
                self._known.add(subtree)
                lines += self._from_system(edges.get(edge.target, ()), depth + 1)
                pending += _pending(edge.target, edges, depth + 1)
        return lines

    def _from_system(self, edges: Iterable[Resolution], depth: int) -> list[str]:
        names = list(dict.fromkeys(edge.needed.name + _kind(edge) for edge in edges if edge.how == How.PROMISED))
        if not self._view.verbose:
            names = api_sets_counted(names)
        return [f"{'  ' * depth}from the system: {printable(', '.join(names))}"] if names else []

    def _edge(self, edge: Resolution, indent: str, *, again: bool) -> list[str]:
        """Return "demo.libs/liba.so.1 (DT_RPATH of demo/_core.so: $ORIGIN/../demo.libs)", or what is wrong in the place of the path."""
        why = printable(short_text(edge.via, self._facts)) + ("; its own needs: see above" if again else "")
        how = self._view.style(_SAID[edge.how], _ROLE.get(edge.how, "good")) if edge.how in _SAID else ""
        name = printable(edge.needed.name)
        if edge.target:
            path = self._name(edge.target)
            name = path if path.rpartition("/")[2] == name.rpartition("/")[2] else f"{path} as {name}"
        tried = self._tried(edge, indent)
        reason = "" if tried and not edge.target else f" ({why})"
        return [f"{indent}{name}{_kind(edge)}{f': {how}' if how else ''}{reason}", *tried]

    def _tried(self, edge: Resolution, indent: str) -> list[str]:
        """Return where the loader looked, in its order: for what it did not find, and with -v for everything."""
        if not edge.tried or not (self._view.verbose or edge.how in (How.MISSING, How.UNDECIDED)):
            return []
        places = [f"{short_text(t.place, self._facts)}: {t.outcome} ({short_text(t.via, self._facts)})" for t in edge.tried]
        told = places if self._view.verbose or edge.how == How.MISSING else shortened(places, TRAIL, "place")
        return [f"{indent}  looked, in this order:", *(f"{indent}    {printable(line)}" for line in told)]

    def _name(self, path: str) -> str:
        return printable(short_path(path, self._facts))


def _subtree(path: str, edges: Mapping[str, Sequence[Resolution]]) -> object:
    """Return what makes a file's subtree the same as another: the file, and what became of each of its needs."""
    return path, tuple((edge.needed, edge.target) for edge in edges.get(path, ()))


def _pending(path: str, edges: Mapping[str, Sequence[Resolution]], depth: int) -> list[tuple[Resolution, int]]:
    """Return the needs that have a line of their own, the first one last."""
    return [(edge, depth) for edge in reversed(edges.get(path, ())) if edge.how != How.PROMISED]


def _kind(edge: Resolution) -> str:
    return "" if edge.needed.kind == NeedKind.REQUIRED else f" ({edge.needed.kind})"
