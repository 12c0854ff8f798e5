"""`enthesis fit --model` and `enthesis compare-models`: files say the model, options count, mistakes are told."""

import json
from pathlib import Path

import numpy as np
import pytest

import enthesis as en
from enthesis.assess.compare_models import compare_models
from enthesis.cli.main import run
from enthesis.errors import ModelError
from enthesis.models.heterogeneity import Common
from enthesis.models.model import Model

SMOKING = str(Path(__file__).parent / "tables" / "hasselblad1998.csv")


@pytest.fixture
def cli(capsys):
    """Run the program; returns (exit code, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run([str(a) for a in arguments])
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def models(tmp_path):
    texts = {
        "random": 'title = "Random effects"\nprior_tau = "uniform(0, 5)"',
        "common": 'effects = "common"',
        "split": '[consistency]\nkind = "node split"\ntreatment = "self_help"\ncomparator = "no_contact"',
        "wrong": 'effects = "fixed"',
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = tmp_path / f"{name}.toml"
        paths[name].write_text(text)
    return {name: str(path) for name, path in paths.items()}


def smoking():
    return en.from_table(SMOKING, reference="no_contact")


def told(cli, *arguments):
    code, out, err = cli(*arguments, "--json", "-")
    assert code == 0, err
    return json.loads(out)


def test_fit_takes_its_model_from_a_file(cli, models):
    found = told(cli, "fit", SMOKING, "--reference", "no_contact", "--model", models["split"])
    names = [row["parameter"] for row in found["parameters"]]
    assert "direct[self_help vs no_contact]" in names
    assert "apart" in found["model"]


def test_an_option_counts_instead_of_the_file(cli, models):
    found = told(cli, "fit", SMOKING, "--model", models["random"], "--prior-tau", "half-normal(0.5)")
    assert "half-normal(0.5)" in found["model"]


@pytest.mark.parametrize("command", ["fit", "compare-models"])
def test_a_mistake_in_a_model_file_is_bad_data_with_its_key(cli, models, command):
    more = ["--model", models["common"]] if command == "compare-models" else []
    code, out, err = cli(command, SMOKING, "--model", models["wrong"], *more)
    assert code == 3
    assert out == ""
    assert "wrong.toml, column 'effects', value 'fixed'" in err


def test_models_are_compared_best_first(cli, models):
    found = told(cli, "compare-models", SMOKING, "--model", models["common"], "--model", models["random"])
    best, other = found["comparison"]
    assert [best["model"], other["model"]] == ["random", "common"]
    assert best["LOO_difference"] == 0
    assert other["LOO_difference"] == pytest.approx(other["LOO"] - best["LOO"])
    assert other["LOO_difference_se"] > 0
    assert best["DIC"] == pytest.approx(98.1, abs=0.8)
    assert found["models"][1]["title"] == "Random effects"


def test_people_get_a_table(cli, models):
    code, out, _ = cli("compare-models", SMOKING, "--model", models["common"], "--model", models["random"])
    assert code == 0
    assert "LOO difference" in out
    assert "LOO is unreliable for" in out


def test_one_model_is_nothing_to_compare(cli, models):
    code, _, err = cli("compare-models", SMOKING, "--model", models["common"])
    assert code == 2
    assert "two or more" in err


def test_criteria_of_different_data_are_not_compared():
    network = smoking()
    other = en.from_table(SMOKING, reference="self_help")
    fits = {"a": en.fit(network, Model(heterogeneity=Common())), "b": en.fit(other, Model(heterogeneity=Common()))}
    with pytest.raises(ModelError, match="different data"):
        compare_models(fits)


def test_criteria_of_different_likelihoods_are_not_compared():
    network = smoking()
    common = Model(heterogeneity=Common())
    fits = {"exact": en.fit(network, common), "normal": en.fit(network, common.replace(likelihood="contrasts"))}
    with pytest.raises(ModelError, match="different likelihoods"):
        compare_models(fits)


def test_criteria_need_draws():
    network = smoking()
    with pytest.raises(ModelError, match="gls has none"):
        compare_models({"bayes": en.fit(network), "gls": en.fit(network, engine="gls")})


def test_a_useless_covariate_does_not_improve_the_model():
    rows = [{"study": i, "treatment": t, "mean": m + s, "se": 0.2, "x": x}
            for i, (s, x) in enumerate(zip(np.zeros(8), [0, 1] * 4, strict=True))
            for t, m in (("p", 0.0), ("a", 0.5 + 0.1 * (i % 3)))]  # fmt: skip
    network = en.from_table(rows, measure="MD", reference="p")
    plain = Model(heterogeneity=Common())
    fits = {
        "plain": en.fit(network, plain),
        "x": en.fit(network, plain.replace(regression=en.Regression(covariate="x"))),
    }
    assert compare_models(fits).loc[0, "model"] == "plain"
