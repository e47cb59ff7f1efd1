"""Pure renderers: a value to text. A module declares in RENDERS the nouns that it renders; the table here is what `--format` offers."""

from collections.abc import Callable
from importlib import import_module

OUTPUTS: dict[str, tuple[str, ...]] = {
    "text": ("audit", "show", "tree", "rules", "explain"),
    "json": ("audit", "show", "tree", "rules", "explain"),
    "mermaid": ("tree",),
}
"""Module of this package to the nouns that it renders; kept here so that `--help` need not import them, and checked by a test."""


def formats(noun: str) -> tuple[str, ...]:
    """Return the formats that can render a noun, the default first."""
    return tuple(name for name, nouns in OUTPUTS.items() if noun in nouns)


def renderer(name: str, noun: str) -> Callable[..., str]:
    """Return the function by which a format renders a noun."""
    found: Callable[..., str] = import_module(f"relocator.output.{name}").RENDERS[noun]
    return found
