"""The registry is complete."""

import re

from mri_saliency.attribution.batch import Settings
from mri_saliency.attribution.captum_methods import METHOD_FUNCTIONS
from mri_saliency.methods import METHODS, explained_sentence, null_legend
from mri_saliency.report.bibliography import cited_keys, read_library


def test_the_registry_and_the_dispatch_have_the_same_methods():
    assert set(METHOD_FUNCTIONS) == set(METHODS)
    assert all(name == method.name for name, method in METHODS.items())


def test_a_legend_has_each_null_map_with_its_methods():
    legend = null_legend(["integrated_gradients", "saliency", "deep_lift", "expected_gradients"])
    assert legend.splitlines() == [
        "|scan − baseline| (Integrated Gradients, DeepLIFT)",
        "|scan| (saliency)",
        "mean |scan − control| (Expected Gradients)",
    ]


def test_every_setting_of_a_method_is_an_explainers_or_the_baseline():
    known = {"baseline", *vars(Settings(1))}
    for method in METHODS.values():
        assert set(method.settings) <= known, method.name
        n_draws = {"n_samples", "n_references"} & set(method.settings)
        assert method.stochastic == bool(n_draws), method.name
        if method.unit == "logit":
            assert method.from_zero == (not {"baseline", "references"} & set(method.settings)), method.name
        assert all((method.question, method.unit, method.reference, method.passes, method.paper))


def test_every_method_has_its_sentences_for_a_paper():
    library = read_library()
    settings = dict.fromkeys(("n_samples", "noise_std", "n_references", "n_available"), 3)
    for method in METHODS.values():
        assert method.title.casefold() in method.account.casefold() and method.account.endswith(".")
        keys = cited_keys([method.account])
        assert keys and set(keys) <= library.keys(), method.name
        surname = re.match(r"[A-Z]\w+", method.paper)[0]
        assert any(library[key].author_year.startswith(surname) for key in keys), method.name
        assert bool(method.draws) == method.stochastic and "{" not in method.draws.format(**settings)


def test_what_is_explained_depends_on_the_logits():
    assert "only logit, the log-odds of AD" in explained_sentence(1, 0, "AD")
    assert "log-odds of class 2 (of 0 to 3)" in explained_sentence(4, 2, "AD")
    assert "log-odds of each scan's predicted class" in explained_sentence(2, None, "AD")
