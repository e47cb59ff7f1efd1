"""Loads as a Mermaid flowchart, which documents and issue trackers draw: files are boxes, needs are arrows that say how they are met."""

from collections.abc import Sequence

from relocator.facts import Forest
from relocator.findings import Failure
from relocator.model import Resolution
from relocator.paint import View, printable, short_path

_SHAPES = {"bundled": ("[", "]"), "missing": ("{{", "}}")}
_ROUND = ("([", "])")
"""What is neither in the package nor missing."""


def render_tree(forests: Sequence[Forest], failures: Sequence[Failure], view: View) -> str:
    """Render all forests as one chart, each in a frame of its own; what could not be looked at becomes a comment."""
    lines = ["flowchart LR"]
    lines += [f"  %% {_comment(failure.subject)}: {_comment(failure.message)}" for failure in failures]
    for number, forest in enumerate(forests):
        lines += _forest(forest, f"f{number}")
    lines += [
        "  classDef root font-weight:bold",
        "  classDef missing stroke:#c00,stroke-width:2px",
        "  classDef outside stroke-dasharray:4",
    ]
    return "\n".join(lines) + "\n"


def _forest(forest: Forest, prefix: str) -> list[str]:
    title = forest.container.file_name + (f" for {forest.target.tag}" if forest.target.tag else "")
    nodes: dict[tuple[str, str], str] = {}
    boxes: list[str] = []
    arrows: dict[str, None] = {}

    def node(name: str, arch: str, how: str, css: str = "") -> str:
        if (name, arch) not in nodes:
            nodes[name, arch] = f"{prefix}n{len(nodes)}"
            left, right = _SHAPES.get(how, _ROUND)
            boxes.append(f'    {nodes[name, arch]}{left}"{_label(name)}"{right}' + (f":::{css}" if css else ""))
        return nodes[name, arch]

    for load in forest.loads:
        node(short_path(load.root, forest.container), load.arch, "bundled", "root")
    for load in forest.loads:
        for edge in load.resolutions:
            source = node(short_path(edge.importer, forest.container), load.arch, "bundled")
            target = node(_target(edge, forest), load.arch, edge.how, edge.how if edge.how in ("missing", "outside") else "")
            arrows[f"    {source} -->|{_label(_arrow(edge))}| {target}"] = None
    return [f'  subgraph {prefix}["{_label(title)}"]', *boxes, *arrows, "  end"]


def _target(edge: Resolution, forest: Forest) -> str:
    return short_path(edge.target, forest.container) if edge.target else edge.needed.name


def _arrow(edge: Resolution) -> str:
    return str(edge.how) if edge.needed.kind == "required" else f"{edge.how}, {edge.needed.kind}"


def _label(text: str) -> str:
    """Write as entity codes what would end a label or start something in it."""
    return "".join(c if c.isalnum() or c in " ._-+/@,:" else f"#{ord(c)};" for c in printable(text))


def _comment(text: str) -> str:
    return printable(text).replace("{", "(").replace("}", ")")
