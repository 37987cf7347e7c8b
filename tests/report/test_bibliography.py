"""The library's entries are well-formed, and citations name their authors."""

import re

from mri_saliency.report.bibliography import bibliography, cited_keys, read_library, with_authors

LIBRARY = read_library()
REQUIRED = {
    "article": {"author", "title", "journal", "volume", "pages", "year", "doi"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"},
    "misc": {"author", "title", "year"},
}


def test_every_entry_is_complete_and_named_after_its_authors():
    for key, work in LIBRARY.items():
        kind = re.match(rf"@(\w+)\{{{key},\n", work.entry)[1]
        fields = dict(re.findall(r"^  (\w+) = \{(.*?)\},?$", work.entry, re.MULTILINE | re.DOTALL))
        assert fields.keys() >= REQUIRED[kind] and work.entry.count("{") == work.entry.count("}"), key
        assert {"doi", "eprint", "howpublished", "publisher"} & fields.keys(), key  # where it is found
        names, year = work.author_year.rsplit(", ", 1)
        assert year == fields["year"] and key.endswith(year)
        n_authors = fields["author"].count(",") or 1  # "Tan, Mingxing and Le, Quoc V.", or "{A team}"
        assert ("et al." in names) == (n_authors > 2 or "others" in fields["author"]), key


def test_citations_name_one_two_or_more_authors():
    sentences = ["As in A [@tan2021; @boehle2019].", "B [@hunter2007] and again [@tan2021]."]
    assert cited_keys(sentences) == ["tan2021", "boehle2019", "hunter2007"]
    assert with_authors(sentences[0]) == "As in A (Tan and Le, 2021; Böhle et al., 2019)."
    assert with_authors(sentences[1]) == "B (Hunter, 2007) and again (Tan and Le, 2021)."
    entries = bibliography(sentences)
    assert re.findall(r"^@\w+\{(\w+),", entries, re.MULTILINE) == ["boehle2019", "hunter2007", "tan2021"]
    assert "%" not in entries  # what names a work in a text is not for BibTeX


def test_a_mark_of_no_entry_stays_as_it_is():
    """A class may be called so."""
    assert "unknown" not in LIBRARY and list(LIBRARY) == sorted(LIBRARY)
    assert with_authors("The class [@unknown].") == "The class [@unknown]."
    assert bibliography(["The class [@unknown]."]) == "\n"
