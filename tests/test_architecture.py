"""What imports what: no circle of files, and the table of packages in CONTRIBUTING.md is true."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "keras_tdn"
# The one arrow that points upwards: `weights=` is resolved where weights are known.
UPWARD = ("models", "pretrained")
ROW = re.compile(r"\| (`[^|]+) \| [^|]+ \| ([^|]+) \|")
QUOTED = re.compile(r"`(\w+)`")


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.fixture(scope="module")
def modules():
    """Paths by the names of modules."""
    return {module_of(path): path for path in (ROOT / PACKAGE).rglob("*.py")}


@pytest.fixture(scope="module")
def imports(modules):
    """By module, the modules that it imports, inside functions too; not those for types alone."""
    return {
        module: set(imported(ast.parse(path.read_text("utf-8")), modules)) - {module}
        for module, path in modules.items()
    }


def imported(node, modules):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith(PACKAGE):
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                yield name if name in modules else child.module
        elif isinstance(child, ast.Import):
            yield from (name.name for name in child.names if name.name.startswith(PACKAGE))
        yield from imported(child, modules)


def package_of(module):
    return module.split(".")[1] if "." in module else ""


def test_no_circle_of_files(imports):
    finished, path = set(), []

    def visit(module):
        if module in path:
            pytest.fail(" -> ".join([*path[path.index(module) :], module]))
        if module in finished:
            return
        path.append(module)
        for other in imports[module]:
            if (package_of(module), package_of(other)) != UPWARD:
                visit(other)
        finished.add(path.pop())

    for module in imports:
        visit(module)


def test_the_table_of_packages_is_true(imports):
    rows = ROW.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    packages = [(QUOTED.findall(names), set(QUOTED.findall(arrows))) for names, arrows in rows]
    base, floors, top = packages[0][0], packages[1:-1], packages[-1][0]
    found = {name: set() for name in (*base, *(names[0] for names, _ in floors), *top)}
    for module, others in imports.items():
        # The root offers names, lazily, and imports what does that.
        if package_of(module) not in ("", "__main__"):
            found[package_of(module)] |= {package_of(other) for other in others}
    for name in base:
        assert found[name] <= set(base), name
    above = set(base)
    for (name,), arrows in floors:
        # `weights=` alone looks upwards.
        upward = {UPWARD[1]} if name == UPWARD[0] else set()
        assert found[name] - above - {name} == upward, name
        assert found[name] - {name} - set(base) == arrows, name
        above.add(name)
    for name in top:
        # Nothing below imports what is at the top, which the floors have shown.
        others = found[name] & set(top) - {name}
        assert name == "cli" or others <= {f"{name}_probe"}, name
