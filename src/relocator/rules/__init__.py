"""The catalogue: one module a rule, listed here in the order in which people read it."""

from types import ModuleType

from relocator.errors import UsageError
from relocator.findings import Rule
from relocator.rules import (
    absolute_install_name,
    binary_in_pure_wheel,
    build_search_path,
    debug_runtime,
    duplicate_rpath,
    escaping_search_path,
    executable_stack,
    host_library,
    invalid_signature,
    left_to_dependency,
    libc_mismatch,
    links_libpython,
    local_platform_tag,
    malformed_record,
    missing_library,
    missing_slice,
    narrow_tag,
    needs_relr_support,
    newer_cxx_runtime_than_tag,
    newer_glibc_than_tag,
    newer_macos_than_tag,
    path_in_needed,
    record_mismatch,
    refused_symbol,
    relative_search_path,
    resolved_by_caller,
    tag_disagreement,
    unbundled_library,
    unbundled_msvc_runtime,
    unreachable_dll,
    unreadable_binary,
    unrecorded_file,
    unresolved_rpath,
    unsafe_member,
    unsafe_page_alignment,
    writable_search_path,
    wrong_architecture,
    wrong_extension_suffix,
    wrong_python_dll,
)

_MODULES: tuple[ModuleType, ...] = (
    # Linkage
    missing_library,
    unbundled_library,
    left_to_dependency,
    host_library,
    path_in_needed,
    resolved_by_caller,
    links_libpython,
    # Symbols
    refused_symbol,
    # Tags
    newer_glibc_than_tag,
    newer_cxx_runtime_than_tag,
    needs_relr_support,
    libc_mismatch,
    newer_macos_than_tag,
    binary_in_pure_wheel,
    tag_disagreement,
    local_platform_tag,
    narrow_tag,
    # Architecture
    wrong_architecture,
    missing_slice,
    unsafe_page_alignment,
    # Search paths
    relative_search_path,
    writable_search_path,
    build_search_path,
    escaping_search_path,
    duplicate_rpath,
    # ELF health
    executable_stack,
    # macOS
    absolute_install_name,
    unresolved_rpath,
    invalid_signature,
    # Windows
    unbundled_msvc_runtime,
    debug_runtime,
    unreachable_dll,
    wrong_python_dll,
    # Python's ABI
    wrong_extension_suffix,
    # Archive
    unrecorded_file,
    record_mismatch,
    malformed_record,
    unsafe_member,
    unreadable_binary,
)

RULES: tuple[Rule, ...] = tuple(module.RULE for module in _MODULES)


def page(name: str) -> str:
    """Return the rule's page in Markdown: its name, its table, its docstring. Raise UsageError for an unknown rule."""
    rule, module = next(pair for pair in zip(RULES, _MODULES, strict=True) if pair[0] is named(name))
    facts = (
        ("severity", f"{rule.severity}{' (security)' if rule.security else ''}"),
        ("formats", ", ".join(rule.formats) if rule.formats else "archive"),
        ("containers", ", ".join(rule.containers)),
        ("repairable", f"relocate {rule.repaired_by}" if rule.repaired_by else "no"),
        ("since", rule.since),
    )
    header = " | ".join(title for title, _ in facts)
    values = " | ".join(value for _, value in facts)
    return f"# {rule.name}\n\n| {header} |\n|{'---|' * len(facts)}\n| {values} |\n\n{(module.__doc__ or '').strip()}\n"


def summary(name: str) -> str:
    """Return the first sentence of the rule's page."""
    module = _MODULES[RULES.index(named(name))]
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def named(name: str) -> Rule:
    """Return the rule of that name; raise UsageError, with the nearest name, when there is none."""
    for rule in RULES:
        if rule.name == name:
            return rule
    from difflib import get_close_matches

    near = get_close_matches(name, [rule.name for rule in RULES], 1)
    raise UsageError(f"there is no rule {name!r}", f"did you mean {near[0]!r}?" if near else "`relocate rules` lists them")


def select(chosen: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Return the rules to run: the chosen ones, or all, without the ignored ones."""
    wanted = [named(name) for name in chosen] or list(RULES)
    unwanted = [named(name) for name in ignored]
    return tuple(rule for rule in wanted if rule not in unwanted)
