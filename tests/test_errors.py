"""Warnings are few: of one kind, one line."""

from mri_saliency.errors import warn_by_kind


def test_warnings_that_differ_in_numbers_or_names_are_one_line(capsys):
    messages = ["3 Gradient SHAP maps are odd (0.5%).", "no atlas.", "12 saliency maps are odd (1.25%)."]
    warn_by_kind([*messages, "4 saliency maps are gone."], ["Gradient SHAP", "saliency"])
    assert capsys.readouterr().err.splitlines() == [
        "warning: 3 Gradient SHAP maps are odd (0.5%). (1 more like this)",
        "warning: no atlas.",
        "warning: 4 saliency maps are gone.",
    ]
