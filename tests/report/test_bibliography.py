"""The library's entries are well-formed, and citations name their authors."""

import re

import pytest

from mri_saliency.report.bibliography import cited_keys, read_entries, read_library, with_authors

LIBRARY = read_library()
REQUIRED = {
    "article": {"author", "title", "journal", "volume", "pages", "year", "doi"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"},
    "misc": {"author", "title", "year"},
}
ENTRIES = r"""
@article{first2001,
  author = {{\"O}zg{\"u}r, A. and C{\^o}t{\'e}, Marc},
  title = {A {Nested {Brace}} and a year = in it},
  year = {2001}
}

@misc{team2016,
  author = {{The team and others of it}},
  year = {2016},
}
"""


@pytest.mark.parametrize("entry", LIBRARY.values(), ids=LIBRARY)
def test_every_entry_is_complete(entry):
    assert entry.fields.keys() >= REQUIRED[entry.kind]
    assert entry.text.count("{") == entry.text.count("}")
    assert re.fullmatch(r"\d{4}", entry.fields["year"]) and entry.key.endswith(entry.fields["year"])
    assert {"doi", "eprint", "howpublished", "publisher"} & entry.fields.keys()  # where it is found
    if "doi" in entry.fields:
        assert re.fullmatch(r"10\.\d{4,}/\S+", entry.fields["doi"])
    if "eprint" in entry.fields:
        assert re.fullmatch(r"\d{4}\.\d{5}|\d{4}\.\d{4}", entry.fields["eprint"])
        assert entry.fields["archiveprefix"] == "arXiv"
    assert "\\" not in entry.author_year and "{" not in entry.author_year


def test_entries_are_in_the_order_of_their_keys():
    assert list(LIBRARY) == sorted(LIBRARY)


def test_entries_are_split_at_their_braces():
    entries = read_entries(ENTRIES)
    assert list(entries) == ["first2001", "team2016"]
    assert entries["first2001"].fields["title"] == "A {Nested {Brace}} and a year = in it"
    assert entries["first2001"].text in ENTRIES and entries["team2016"].text in ENTRIES
    assert entries["first2001"].author_year == "Özgür and Côté, 2001"
    assert entries["team2016"].author_year == "The team and others of it, 2016"


def test_damaged_entries_are_refused():
    with pytest.raises(ValueError, match="not closed"):
        read_entries("@misc{a2000,\n  year = {2000}\n")
    with pytest.raises(ValueError, match="twice"):
        read_entries(2 * "@misc{a2000,\n  year = {2000}\n}\n")


def test_citations_name_one_two_or_more_authors():
    sentences = ["As in A [@tan2021; @boehle2019].", "B [@hunter2007] and again [@tan2021]."]
    assert cited_keys(sentences) == ["tan2021", "boehle2019", "hunter2007"]
    assert with_authors(sentences[0], LIBRARY) == "As in A (Tan and Le, 2021; Böhle et al., 2019)."
    assert with_authors(sentences[1], LIBRARY) == "B (Hunter, 2007) and again (Tan and Le, 2021)."


def test_a_mark_of_no_entry_stays_as_it_is():
    """A class may be called so."""
    assert with_authors("The class [@unknown].", LIBRARY) == "The class [@unknown]."
