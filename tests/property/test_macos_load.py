"""dyld's model against a second one, written as plainly as Apple's loop: recursion, lists, no trail; over random packages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import MACOS, SITE, binary, macho
from relocator.backends.macos.load import load
from relocator.loading import Process, Seen, normalise
from relocator.model import Binary, Image, Needed, NeedKind

FOLDERS = ("pkg", "libs")
LEAVES = ("a", "b", "c")
PATHS = tuple(f"{folder}/{leaf}.dylib" for folder in FOLDERS for leaf in LEAVES)
NAMES = tuple(f"{start}/{leaf}.dylib" for leaf in LEAVES for start in ("@rpath", "@loader_path", "@loader_path/../libs", "/opt"))
RPATHS = ("@loader_path", "@loader_path/../pkg", "@loader_path/../libs", f"{SITE}/libs", "@unknown")
PROCESS = Process(MACOS, None)

needs = st.lists(st.builds(Needed, st.sampled_from(NAMES), st.sampled_from((NeedKind.REQUIRED, NeedKind.LAZY))), max_size=3)
rpaths = st.lists(st.sampled_from(RPATHS), max_size=2)
libraries = st.tuples(needs, rpaths, st.sampled_from((*NAMES, "/DLC/x.dylib")), st.sampled_from(("library", "library", "bundle")))
packages = st.dictionaries(st.sampled_from(PATHS), libraries, min_size=1)


class Dyld:
    """Loader.cpp's getLoader and JustInTimeLoader.cpp's loadDependents, for images that are no system library and have a new SDK."""

    def __init__(self, files: dict[str, Binary]) -> None:
        self.files = files
        self.loaded: list[Binary] = []
        self.answers: dict[tuple[str, int], str | None] = {}

    def run(self, root: Binary) -> None:
        self.loaded.append(root)
        self.dependents(root, [root])

    def dependents(self, image: Binary, chain: list[Binary]) -> None:
        if any(importer == image.path for importer, _ in self.answers):
            return
        below = []
        for position, need in enumerate(first(image).needed):
            found = self.get(need.name, chain)
            self.answers[image.path, position] = found.path if found else None
            if need.kind == NeedKind.LAZY or found is None:
                continue
            if found not in self.loaded:
                self.loaded.append(found)
            below.append(found)
        for one in below:
            self.dependents(one, [*chain, one])

    def get(self, name: str, chain: list[Binary]) -> Binary | None:
        candidates = [name]
        if name.startswith("@loader_path/"):
            candidates = [expanded(name, chain[-1])]
        elif name.startswith("@rpath/"):
            candidates += [expanded(p.text, link) + name[6:] for link in reversed(chain) for p in first(link).search_paths]
        for path in candidates:
            for image in self.loaded:
                if path == image.path or (first(image).kind == "library" and first(image).identity == path):
                    return image
            if path in self.files and (first(self.files[path]).kind == "library" or self.files[path] in self.loaded):
                return self.files[path]
        return None


def first(one: Binary) -> Image:
    return one.images[0]


def expanded(path: str, loader: Binary) -> str:
    if not path.startswith("@loader_path"):
        return path
    return normalise(loader.path.rpartition("/")[0] + path.removeprefix("@loader_path"))


class Files:
    def __init__(self, files: dict[str, Binary]) -> None:
        self.files = files

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        return self.files.get(path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(packages, needs, rpaths)
def test_both_models_load_the_same_images_in_the_same_order(
    package: dict[str, tuple[list[Needed], list[str], str, str]], needed: list[Needed], paths: list[str]
) -> None:
    root = binary("pkg/ext.so", macho(*needed, rpaths=paths, sdk=(14, 0)))
    files = {root.path: root}
    for member, (needs_, rpaths_, name, kind) in package.items():
        one = binary(member, macho(*needs_, rpaths=rpaths_, install_name=name, kind=kind, sdk=(14, 0)))
        files[one.path] = one
    second = Dyld(files)
    second.run(root)
    loaded = load(root, "arm64", Files(files), PROCESS)
    assert {(r.importer, r.position): r.target for r in loaded.resolutions} == second.answers
    assert list(loaded.order) == [image.path for image in second.loaded]
