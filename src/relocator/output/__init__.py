"""Pure renderers: a value to text. The table says which module renders what; its function is called `render_` and the noun's name."""

from collections.abc import Callable, Mapping
from importlib import import_module

OUTPUTS: Mapping[str, Mapping[str, str]] = {
    "text": {
        "audit": "text.audit",
        "show": "text.show",
        "tree": "text.tree",
        "edit": "text.edit",
        "undo": "text.edit",
        "repair": "text.repair",
        "rules": "text.rules",
        "explain": "text.rules",
        "failures": "text.failures",
    },
    "json": dict.fromkeys(("audit", "show", "tree", "edit", "undo", "repair", "rules", "explain"), "json"),
    "mermaid": {"tree": "mermaid"},
}
"""Format to noun to module; kept here so that `--help` need not import them, and checked by a test."""


def formats(noun: str) -> tuple[str, ...]:
    """Return the formats that can render a noun, the default first."""
    return tuple(name for name, nouns in OUTPUTS.items() if noun in nouns)


def renderer(name: str, noun: str) -> Callable[..., str]:
    """Return the function by which a format renders a noun."""
    found: Callable[..., str] = getattr(import_module(f"relocator.output.{OUTPUTS[name][noun]}"), f"render_{noun}")
    return found
