"""Documentation is executed or generated: every public name, every example, every command, every page, every link."""

import doctest
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import catalogue
import enthesis

ROOT = Path(__file__).parents[1]
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "decisions").glob("*.md")), *PAGES]
MODULES = sorted(
    info.name for info in pkgutil.walk_packages(enthesis.__path__, "enthesis.") if ".migrations." not in info.name
)
#: made by the review itself (`make demo`), not written by hand
PICTURES = {"docs/img/report.png"}


def name_of(path):
    return str(path.relative_to(ROOT))


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented(value):
    """The documentation of a class or function, or of the class of a value."""
    return inspect.getdoc(value if inspect.isclass(value) or callable(value) else type(value)) or ""


@pytest.mark.parametrize("name", enthesis.__all__)
def test_every_public_name_has_an_example(name):
    assert ">>>" in documented(getattr(enthesis, name))


def test_public_names_are_those_that_can_be_loaded():
    assert sorted(enthesis.__all__) == sorted(enthesis._MODULE_OF)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        enthesis.nothing  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} does not begin with its idea"
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


@pytest.mark.parametrize("path", [p for p in TEXTS if blocks(p, "python")], ids=name_of)
def test_code_on_pages_runs(path, monkeypatch, capsys):
    monkeypatch.chdir(path.parent)
    exec(compile("\n".join(blocks(path, "python")), str(path), "exec"), {})


def test_the_script_of_the_readme_is_about_a_dozen_lines():
    lines = [line for line in blocks(ROOT / "README.md", "python")[0].splitlines() if line.strip()]
    assert len(lines) <= 14


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_commands_on_pages_exist_with_their_options(path):
    known = dict(generator().commands())
    text = path.read_text(encoding="utf-8")
    lines = "\n".join(blocks(path, "sh")).splitlines() + re.findall(r"`(enthesis [^`\n]+)`", text)
    for line in lines:
        words = shlex.split(line.split("#")[0])
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), line
        if words[:1] != ["enthesis"] or "{" in line or "..." in words:
            continue
        called = max((n for n in known if words[: len(n.split())] == n.split()), key=len)
        options = {o for n in ("enthesis", called) for p in known[n].params for o in p.opts + p.secondary_opts}
        used = {w for w in words if w.startswith("--")} - {"--help", "--version"}
        assert used <= options, line


def links():
    for path in TEXTS:
        text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(path, target, id=f"{name_of(path)} {target}")


@pytest.mark.parametrize(("path", "target"), list(links()))
def test_every_link_leads_somewhere(path, target):
    file = (path.parent / target.split("#")[0]).resolve()
    if name_of(file) in PICTURES:
        return
    assert file.exists()


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {line.strip() for line in index.splitlines()}
    assert {name_of(p)[5:-3] for p in PAGES} - {"index"} <= listed


def test_generated_pages_are_current():
    """`make reference` writes them."""
    made = generator().pages()
    written = {name: (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") for name in made}
    assert {name for name in made if written[name] != made[name]} == set()


@pytest.mark.parametrize("name", catalogue.COMMANDS)
def test_every_command_has_help_and_an_example(name):
    told = dict(generator().commands())[f"enthesis {name}"].help or ""
    assert f"Example: enthesis {name}" in told, f"add a line `Example: enthesis {name} ...` to its docstring"


def test_every_command_can_print_json():
    commands = {n: c for n, c in generator().commands() if not hasattr(c, "commands")}
    assert {n for n, c in commands.items() if "--json" not in {o for p in c.params for o in p.opts}} == set()


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})


def test_the_changelog_speaks_of_this_version():
    assert f"## {enthesis.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_one_version_is_written_everywhere():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == enthesis.__version__
    assert f"\nversion: {enthesis.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_constraints_name_versions_and_no_place():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    assert not any(word in line for line in lines for word in ("index", "://"))
