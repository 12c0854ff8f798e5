"""Everything that a user chooses among is in tests/catalogue.py, and so in the conformance tests."""

import importlib
import inspect
import pkgutil
from typing import get_args

import pytest

import catalogue
import enthesis.cli
import enthesis.models
from enthesis.cli.main import COMMANDS, app
from enthesis.inference.fit import ENGINES
from enthesis.network import layouts, measures


def module(name):
    return importlib.import_module(f"enthesis.{name}")


def public_classes(name):
    return {
        n
        for n, value in vars(module(name)).items()
        if inspect.isclass(value)
        and (value.__module__, value.__name__) == (f"enthesis.{name}", n)
        and not n.startswith("_")
    }


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_every_class_of_a_kind_has_an_example(kind):
    home, examples, beside = (getattr(catalogue.KINDS[kind], f) for f in ("home", "examples", "beside"))
    assert public_classes(home) == {type(e).__name__ for e in examples} | set(beside)


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_a_kind_is_the_union_of_its_classes(kind):
    """So that a type checker and a reader of the signature see every choice."""
    home, examples = catalogue.KINDS[kind].home, {type(e) for e in catalogue.KINDS[kind].examples}
    unions = [set(get_args(value)) for value in vars(module(home)).values() if get_args(value)]
    alone = len(examples) == 1 and list(vars(module(home)).values()).count(next(iter(examples))) > 1
    assert alone or examples in unions


def test_every_module_of_models_is_the_home_of_a_kind():
    homes = {kind.home for kind in catalogue.KINDS.values()}
    found = {info.name for info in pkgutil.iter_modules(enthesis.models.__path__)} - set(catalogue.MODELS_BESIDE)
    assert {f"models.{name}" for name in found} == {home for home in homes if home.startswith("models.")}


def test_every_measure_is_listed_under_its_name():
    defined = {name: value for name, value in vars(measures).items() if isinstance(value, measures.Measure)}
    listed = {m.name: m for m in catalogue.MEASURES}
    assert defined == listed == measures.MEASURES


def test_every_engine_is_listed():
    assert set(ENGINES) - {"auto"} == set(catalogue.ENGINES)


def test_every_layout_of_tables_is_listed():
    assert {shape.__name__ for shape in layouts.SHAPES} == set(catalogue.LAYOUTS)


def test_every_command_module_is_in_the_table_of_commands():
    found = {
        info.name.rstrip("_").replace("_", "-")
        for info in pkgutil.iter_modules(enthesis.cli.__path__)
        if info.name != "main" and hasattr(module(f"cli.{info.name}"), "app")
    }
    assert found == set(COMMANDS)


def test_every_command_is_listed():
    assert sorted(commands()) == sorted(catalogue.COMMANDS)


def commands():
    """Every command with its path, for example {"evidence load": command}."""
    import typer

    found = {}

    def walk(command, path):
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*path, name))
        if not hasattr(command, "commands"):
            found[" ".join(path)] = command

    walk(typer.main.get_command(app), ())
    return found
