"""The works that a text cites: their BibTeX entries, and how the text names them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_MARK = re.compile(r" ?\[((?:@[\w-]+(?:; )?)+)\]")  # a citation in a sentence: [@tan2021] or [@a; @b]


@dataclass(frozen=True)
class Work:
    """A work that a text can cite: how the text names it ("Tan and Le, 2021"), and its BibTeX entry."""

    author_year: str
    entry: str


@lru_cache(1)
def read_library() -> dict[str, Work]:
    """Return the works of references.bib by their keys; the line above an entry names its work in a text."""
    text = files("mri_saliency.report").joinpath("references.bib").read_text(encoding="utf-8")
    library = {}
    for block in text.strip().split("\n\n"):
        name, entry = block.split("\n", 1)
        key = entry[entry.index("{") + 1 : entry.index(",")]
        library[key] = Work(name.removeprefix("% "), entry)
    return library


def cited_keys(sentences: Iterable[str]) -> list[str]:
    """Return the keys that sentences cite, each once, in the order of the first citation."""
    marks = (mark for sentence in sentences for mark in _MARK.findall(sentence))
    return list(dict.fromkeys(key for mark in marks for key in re.findall(r"@([\w-]+)", mark)))


def bibliography(sentences: Iterable[str]) -> str:
    """Return the BibTeX entries of the works that sentences cite, in the order of their keys."""
    library = read_library()
    return "\n\n".join(library[key].entry for key in sorted(cited_keys(sentences)) if key in library) + "\n"


def with_authors(sentence: str) -> str:
    """Replace the citations of a sentence by authors and years: " [@tan2021]" -> " (Tan and Le, 2021)"."""
    library = read_library()

    def named(match: re.Match) -> str:
        keys = cited_keys([match[0]])
        is_known = library.keys() >= set(keys)  # else it is no citation
        return f" ({'; '.join(library[key].author_year for key in keys)})" if is_known else match[0]

    return _MARK.sub(named, sentence)
