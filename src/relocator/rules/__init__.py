"""The catalogue: one module a rule, listed here in the order in which people read it."""

from types import ModuleType

from relocator.errors import UsageError
from relocator.findings import Rule
from relocator.rules import (
    abi3_violation,
    absolute_install_name,
    aliased_library,
    binary_in_pure_wheel,
    build_search_path,
    cuda_major_mismatch,
    cxx11_abi,
    debug_runtime,
    dll_name_conflict,
    duplicate_blas,
    duplicate_objc_class,
    duplicate_openmp,
    duplicate_rpath,
    duplicate_runtime,
    escaping_search_path,
    executable_stack,
    exports_runtime_symbols,
    flat_namespace_symbol,
    free_threading_mismatch,
    global_interposition,
    host_library,
    identity_mismatch,
    invalid_signature,
    left_to_dependency,
    libc_mismatch,
    links_libpython,
    local_platform_tag,
    malformed_record,
    missing_export,
    missing_library,
    missing_slice,
    missing_symbol_version,
    narrow_tag,
    needs_relr_support,
    newer_abi3_than_tag,
    newer_cpu_than_tag,
    newer_cxx_runtime_than_tag,
    newer_glibc_than_tag,
    newer_macos_than_tag,
    newer_windows_than_tag,
    numpy_abi,
    old_compatibility_version,
    older_msvc_runtime,
    order_dependent_load,
    overridable_search_path,
    path_in_needed,
    pip_conda_overlap,
    private_glibc_symbol,
    record_mismatch,
    redundant_search_path,
    refused_by_index,
    refused_symbol,
    relative_search_path,
    resolved_by_caller,
    retired_system_library,
    runtime_loaded_library,
    shadowed_library,
    shipped_debug_info,
    slice_mismatch,
    slim_image_library,
    soname_conflict,
    static_tls_exhaustion,
    tag_disagreement,
    text_relocations,
    unbundled_library,
    unbundled_msvc_runtime,
    undeclared_provider,
    undefined_symbol,
    unique_symbol_clash,
    unprovided_symbol,
    unreachable_dll,
    unreadable_binary,
    unrecorded_file,
    unresolved_delay_load,
    unresolved_rpath,
    unsafe_member,
    unsafe_page_alignment,
    weak_hardening,
    writable_search_path,
    wrong_apple_platform,
    wrong_architecture,
    wrong_extension_suffix,
    wrong_mode,
    wrong_python_dll,
)

_MODULES: tuple[ModuleType, ...] = (
    # Linkage
    missing_library,
    unbundled_library,
    undeclared_provider,
    left_to_dependency,
    host_library,
    path_in_needed,
    resolved_by_caller,
    order_dependent_load,
    shadowed_library,
    runtime_loaded_library,
    slim_image_library,
    retired_system_library,
    links_libpython,
    aliased_library,
    # Symbols
    undefined_symbol,
    unprovided_symbol,
    missing_symbol_version,
    missing_export,
    flat_namespace_symbol,
    private_glibc_symbol,
    refused_symbol,
    global_interposition,
    unique_symbol_clash,
    exports_runtime_symbols,
    # Tags
    newer_glibc_than_tag,
    newer_cxx_runtime_than_tag,
    needs_relr_support,
    libc_mismatch,
    newer_macos_than_tag,
    newer_windows_than_tag,
    binary_in_pure_wheel,
    tag_disagreement,
    local_platform_tag,
    narrow_tag,
    # Architecture
    wrong_architecture,
    missing_slice,
    slice_mismatch,
    newer_cpu_than_tag,
    unsafe_page_alignment,
    # Search paths
    relative_search_path,
    writable_search_path,
    build_search_path,
    escaping_search_path,
    redundant_search_path,
    duplicate_rpath,
    overridable_search_path,
    # Conflicts
    duplicate_openmp,
    duplicate_blas,
    duplicate_runtime,
    soname_conflict,
    dll_name_conflict,
    duplicate_objc_class,
    pip_conda_overlap,
    static_tls_exhaustion,
    # ELF health
    executable_stack,
    text_relocations,
    identity_mismatch,
    weak_hardening,
    # macOS
    absolute_install_name,
    unresolved_rpath,
    old_compatibility_version,
    wrong_apple_platform,
    invalid_signature,
    # Windows
    older_msvc_runtime,
    unbundled_msvc_runtime,
    debug_runtime,
    unreachable_dll,
    unresolved_delay_load,
    wrong_python_dll,
    # Python's ABI
    cuda_major_mismatch,
    wrong_extension_suffix,
    abi3_violation,
    newer_abi3_than_tag,
    free_threading_mismatch,
    numpy_abi,
    cxx11_abi,
    # Archive
    unrecorded_file,
    record_mismatch,
    malformed_record,
    unsafe_member,
    refused_by_index,
    shipped_debug_info,
    wrong_mode,
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
    from difflib import get_close_matches  # noqa: PLC0415  only for a slip of the hand

    near = get_close_matches(name.lower(), [rule.name for rule in RULES], 1)
    raise UsageError(f"there is no rule {name!r}", f"did you mean {near[0]!r}?" if near else "`relocate rules` lists them")


def select(chosen: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Return the rules to run: the chosen ones, or all, without the ignored ones."""
    wanted = [named(name) for name in chosen] or list(RULES)
    unwanted = [named(name) for name in ignored]
    return tuple(rule for rule in wanted if rule not in unwanted)
