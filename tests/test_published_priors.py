"""Published heterogeneity priors are found by name, with the numbers of their publications."""

import numpy as np
import pytest
from scipy import stats

from enthesis.errors import UsageError
from enthesis.models.priors import LogNormal, LogStudentT, OnVariance, parse_prior
from enthesis.models.published import published_choices, rhodes, turner, turner2012


@pytest.mark.parametrize(
    ("phrase", "prior"),
    [
        # Turner 2015, table IV, its first and last cell, and the text of page 993
        ("turner(mortality, pharmacological vs placebo)", LogNormal(-3.95, 1.34)),
        ("turner(subjective outcomes, non-pharmacological vs non-pharmacological)", LogNormal(-2.26, 1.45)),
        ("turner()", LogNormal(-2.56, 1.74)),
        # Turner 2012, used by Stanworth's transfusion review
        ("turner2012(all-cause mortality, non-pharmacological vs any)", LogNormal(-3.93, 1.51)),
        ("Turner2012(semi-objective, drug vs drug)", LogNormal(-3.23, 1.88)),
        # Rhodes 2015, table 3, and its appendix
        ("rhodes(pain, pharmacological vs placebo)", LogStudentT(-3.16, 2.50, 5)),
        ("rhodes(subjective outcomes, control vs non-pharmacological, cancer)", LogStudentT(-0.06, 2.53, 5)),
        ("rhodes(obstetric, pharmacological vs placebo, respiratory)", LogStudentT(-6.03, 2.36, 5)),
        ("rhodes()", LogStudentT(-3.44, 2.59, 5)),
    ],
)
def test_a_phrase_gives_the_published_distribution_of_the_variance(phrase, prior):
    assert parse_prior(phrase) == OnVariance(prior)


@pytest.mark.parametrize(("name", "function"), [("turner", turner), ("turner2012", turner2012), ("rhodes", rhodes)])
def test_every_choice_is_found_by_its_full_name_and_in_either_order(name, function):
    choices = published_choices(name)
    found = set()
    for outcome in choices["outcome"]:
        for comparison in choices["comparison"]:
            swapped = " vs ".join(reversed(comparison.split(" vs ")))
            prior = function(outcome, comparison)
            assert prior == function(outcome.upper(), swapped)
            assert 0 < prior.quantile(0.5) < 1
            found.add((outcome, comparison))
    assert len(found) == {"turner": 80, "turner2012": 9, "rhodes": 24}[name]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("turner(hair loss, pharmacological vs placebo)", "all-cause mortality; obstetric outcomes"),
        ("turner(mortality, drug vs homeopathy)", "pharmacological vs placebo / control"),
        ("turner(mortality)", "an outcome and a comparison"),
        ("turner(outcomes, pharmacological vs placebo)", "may mean"),
        ("rhodes(pain, pharmacological vs placebo, space medicine)", "other, respiratory, cancer"),
        ("turner2012(mortality)", "Comparisons: "),
        ("rhodes(a, b, c, d)", "Areas: other"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_choices(phrase, said):
    with pytest.raises(UsageError, match=said):
        parse_prior(phrase)


def test_log_student_t_is_the_distribution_of_scipy():
    x = np.array([0.01, 0.3, 2.0])
    expected = stats.t.logpdf((np.log(x) + 1.2) / 0.6, 5) - np.log(0.6 * x)
    np.testing.assert_allclose(LogStudentT(-1.2, 0.6, 5).log_density(x), expected, rtol=1e-12)
