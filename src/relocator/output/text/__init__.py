"""Plain text for people; colour only adds."""

from relocator.output.text.audit import render_audit
from relocator.output.text.rules import render_page, render_rules
from relocator.output.text.show import render_show
from relocator.output.text.tree import render_tree

RENDERS = {"audit": render_audit, "show": render_show, "tree": render_tree, "rules": render_rules, "explain": render_page}
