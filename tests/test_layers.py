"""Imports go downward only, and each layer keeps to its means."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "enthesis"
#: from the leaves upward; the packages of one row may use each other
LAYERS = [
    {"errors", "hashing", "execute", "mechanism"},
    {"evidence"},
    {"network"},
    {"models"},
    {"inference", "adjust"},
    {"assess", "estimands"},
    {"living", "report"},
    {"cli", "web"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imports(path: Path, *, everywhere: bool) -> set[str]:
    """Modules that a file imports at run time: anywhere in it, or only when it is itself imported."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not everywhere:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update({node.module, *(f"{node.module}.{a.name}" for a in node.names if node.module == "enthesis")})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def own(module: str) -> str | None:
    """The layer of a module of enthesis; None for others and for the version."""
    parts = module.split(".")
    return parts[1] if parts[0] == "enthesis" and len(parts) > 1 and parts[1] != "__version__" else None


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_downward(path):
    level = LEVEL[layer(path)]
    upward = {m for m in imports(path, everywhere=True) if own(m) and LEVEL[own(m)] > level}
    assert not upward


@pytest.mark.parametrize("package", ["models", "inference", "estimands"])
def test_the_core_needs_numpy_and_scipy_only_at_import(package):
    for path in (p for p in FILES if layer(p) == package):
        roots = {m.split(".")[0] for m in imports(path, everywhere=False)}
        assert roots - sys.stdlib_module_names <= {"numpy", "scipy", "enthesis"}, path


@pytest.mark.parametrize("path", [p for p in FILES if layer(p) == "inference"], ids=lambda p: p.name)
def test_engines_see_targets_and_no_treatments(path):
    """`fit.py` chooses an engine and puts the names back, `datatree.py` writes them out; no engine knows a network."""
    if path.name not in ("fit.py", "datatree.py"):
        assert not {m for m in imports(path, everywhere=True) if own(m) in ("evidence", "network")}


@pytest.mark.parametrize(
    ("packages", "forbidden"),
    [
        ({"evidence"}, {"scipy"}),
        ({"network", "models", "inference", "estimands", "assess", "report"}, {"sqlalchemy", "alembic"}),
        ({"cli", "web"}, {"sqlalchemy", "alembic", "scipy", "numpy"}),
    ],
    ids=["evidence has no statistics", "statistics has no database", "faces have neither"],
)
def test_each_layer_keeps_to_its_means(packages, forbidden):
    for path in (p for p in FILES if layer(p) in packages):
        assert not {m for m in imports(path, everywhere=True) if m.split(".")[0] in forbidden}, path


def test_the_statistical_core_imports_where_only_numpy_and_scipy_are_installed():
    code = (
        "import sys\n"
        "for name in ('pandas', 'narwhals', 'pydantic', 'sqlalchemy', 'alembic', 'altair', 'jinja2', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "import enthesis.inference.fit, enthesis.estimands, enthesis.models.model, enthesis.network.network\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
