"""Whatever a search path says, the rules about search paths tell at most one fault of each element."""

from hypothesis import given
from hypothesis import strategies as st

from builders import LINUX, MACOS, MANYLINUX, binary, elf, macho
from linked import linked
from relocator.audit import run_rules
from relocator.rules import RULES, duplicate_rpath
from relocator.target import Target

TARGETS = (
    LINUX,
    MACOS,
    Target("musllinux_1_2_x86_64", "linux", "musl", (("x86_64", (1, 2)),)),
    Target("android_24_x86_64", "android", "bionic", (("x86_64", (24,)),)),
    Target("", ""),
)
PIECES = (
    *("/", "..", ".", "tmp", "lib", "usr", "demo", "$ORIGIN", "${ORIGIN}", "$LIB", "$"),
    *("@loader_path", "@executable_path", "\n", "\udce9", "é"),
)
RULES_ABOUT_PATHS = [rule for rule in RULES if rule.group == "Search paths" and rule is not duplicate_rpath.RULE]

texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
lists = st.lists(texts, max_size=4)


@given(target=st.sampled_from(TARGETS), rpath=st.none() | lists, runpath=st.none() | lists, rpaths=lists)
def test_at_most_one_fault_for_each_element(target: Target, rpath: list[str] | None, runpath: list[str] | None, rpaths: list[str]) -> None:
    joined = [None if one is None else ":".join(one) for one in (rpath, runpath)]
    files = [
        binary("demo/a.so", elf("libx.so.1", rpath=joined[0], runpath=joined[1]), extension="demo.a"),
        binary("demo/b.so", macho("@rpath/libx.dylib", rpaths=rpaths), extension="demo.b"),
    ]
    findings = run_rules(linked(*files, target=target, promises=MANYLINUX if target is LINUX else None), RULES_ABOUT_PATHS).findings
    places = [finding.primary._replace(label="") for finding in findings]
    assert len(places) == len(set(places))
    for finding in findings:
        image = next(one for one in files if one.member == finding.primary.member).images[0]
        of_kind = [path.text for path in image.search_paths if path.kind == finding.primary.field]
        if finding.primary.position is None:  # a list that nobody reads
            assert ":".join(of_kind) == finding.primary.value
        else:
            assert of_kind[finding.primary.position] == finding.primary.value
