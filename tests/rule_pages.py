"""What the example on a rule's page must be: what an audit prints of the rule's small package."""

import re
from pathlib import Path

import relocator.rules
from relocator.audit import run_rules
from relocator.findings import Rule
from relocator.output.text.audit import render_audit
from relocator.paint import View
from rule_examples import EXAMPLES

EXAMPLE = re.compile(r"(?m)(?<=^## Example\n\n)(?:    .*\n)+")


def source_of(rule: Rule) -> Path:
    """Return the file of a rule's module."""
    return Path(relocator.rules.__file__).with_name(f"{rule.name.replace('-', '_')}.py")


def printed(rule: Rule) -> str:
    """Return what an audit with this rule alone prints about its example, indented as code."""
    report = run_rules(EXAMPLES[rule.name](), [rule])
    (block,) = [part for part in render_audit([report], [], View()).split("\n\n") if f"[{rule.name}]: " in part.partition("\n")[0]]
    return "".join(f"    {line}\n" for line in block.splitlines())


def rewrite(rule: Rule) -> None:
    """Put what is printed into the page."""
    path = source_of(rule)
    path.write_text(EXAMPLE.sub(lambda _: printed(rule), path.read_text(encoding="utf-8"), count=1), encoding="utf-8", newline="\n")
