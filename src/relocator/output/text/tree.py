"""Loads as text: what each root brings into its process, by which rule of the loader, and what it looked for in vain."""

from collections.abc import Iterable, Mapping, Sequence

from relocator.facts import Forest
from relocator.findings import Failure
from relocator.model import ContainerFacts, How, Load, NeedKind, Resolution
from relocator.output.text.audit import render_failure
from relocator.paint import View, counted, printable, short_path, short_text, shortened

TRAIL = 8
LIKE = 3

_ROLE = {How.MISSING: "error", How.OUTSIDE: "warning", How.UNDECIDED: "warning"}
_SAID = {
    How.BUNDLED: "in this package",
    How.PROVIDED: "in another package",
    How.EXPECTED: "expected from a dependency",
    How.OUTSIDE: "only outside",
    How.UNDECIDED: "not judged",
    How.MISSING: "MISSING",
}


def render_tree(forests: Sequence[Forest], failures: Sequence[Failure], view: View) -> str:
    """Render every forest, then every subject that could not be looked at."""
    parts = [_forest(forest, view) for forest in forests]
    parts += [render_failure(failure, view) + "\n" for failure in failures]
    return "\n".join(parts)


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
    """Group the loads whose roots differ in nothing that is told about them; with -v every load stands alone."""
    groups: dict[object, list[Load]] = {}
    for load in loads:
        told = tuple((r.importer if r.importer != load.root else "", r.needed, r.how, r.target) for r in load.resolutions)
        groups.setdefault((load.root, load.arch) if view.verbose else (load.arch, load.loader, told), []).append(load)
    return list(groups.values())


class _Teller:
    """Tells the loads of one package; knows which subtrees it has told already."""

    def __init__(self, facts: ContainerFacts, view: View) -> None:
        self._facts = facts
        self._view = view
        self._told: set[object] = set()

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
        return lines + self._below(load.root, edges)

    def _below(self, root: str, edges: Mapping[str, Sequence[Resolution]]) -> list[str]:
        """Return the lines for all that a file brings, depth first; a subtree told before is told by a word."""
        self._told.add(_subtree(root, edges))
        lines, pending = self._from_system(root, edges, 2), _pending(root, edges, 2)
        while pending:
            edge, depth = pending.pop()
            subtree = _subtree(edge.target, edges) if edge.target else None
            again = subtree in self._told and bool(edges.get(edge.target or ""))
            lines += self._edge(edge, "  " * depth, again=again)
            if edge.target and not again:
                self._told.add(subtree)
                lines += self._from_system(edge.target, edges, depth + 1)
                pending += _pending(edge.target, edges, depth + 1)
        return lines

    def _from_system(self, path: str, edges: Mapping[str, Sequence[Resolution]], depth: int) -> list[str]:
        names = [edge.needed.name + _kind(edge) for edge in edges.get(path, ()) if edge.how == How.PROMISED]
        return [f"{'  ' * depth}from the system: {printable(', '.join(names))}"] if names else []

    def _edge(self, edge: Resolution, indent: str, *, again: bool) -> list[str]:
        how = self._view.style(_SAID.get(edge.how, str(edge.how)), _ROLE.get(edge.how, "good"))
        name, why = printable(edge.needed.name + _kind(edge)), printable(short_text(edge.via, self._facts))
        if edge.target is None:
            return [f"{indent}{name}: {how}; {why}", *self._tried(edge, indent)]
        line = f"{indent}{name}: {how}, {self._name(edge.target)}" + (" (its own needs are told above)" if again else "")
        if self._view.verbose:
            return [line, f"{indent}  by {why}", *self._tried(edge, indent)]
        return [f"{line}; {why}"]

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
