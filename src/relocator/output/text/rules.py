"""The catalogue of rules as text: a line for each, under the heading of its group; one rule alone is its page."""

from collections.abc import Sequence
from itertools import groupby

from relocator.findings import Rule
from relocator.paint import View
from relocator.rules import page, summary


def render_rules(rules: Sequence[Rule], view: View) -> str:
    """Render the table; with -v each rule has a line for its formats, containers and repair too."""
    width = max((len(rule.name) for rule in rules), default=0)
    lines: list[str] = []
    for group, members in groupby(rules, key=lambda rule: rule.group):
        lines += ["", view.style(group, "strong")] if lines else [view.style(group, "strong")]
        for rule in members:
            severity = view.style(f"{rule.severity!s:<7}", str(rule.severity))
            lines.append(f"  {rule.name:<{width}}  {severity}  {summary(rule.name)}")
            if view.verbose:
                lines.append(f"  {'':<{width}}  {'':<7}  {view.style(_facts(rule), 'dim')}")
    lines += ["", "`relocate explain RULE` shows a rule's page: why it matters, how to fix it, when it is fine"]
    return "\n".join(lines) + "\n"


def _facts(rule: Rule) -> str:
    formats = ", ".join(rule.formats) if rule.formats else "archives"
    return f"{formats}; {', '.join(rule.containers)}; " + (f"repaired by {rule.repaired_by}" if rule.repaired_by else "not repaired")


def render_explain(rules: Sequence[Rule], view: View) -> str:
    """Render the pages of these rules."""
    return "\n".join(page(rule.name) for rule in rules)
