"""The works that a text cites: their BibTeX entries, and how the text names them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

_MARK = re.compile(r" ?\[((?:@[\w-]+(?:; )?)+)\]")  # a citation in a sentence: [@tan2021] or [@a; @b]
_FIELD = re.compile(r"(\w+)\s*=\s*\{")
_BETWEEN_AUTHORS = re.compile(r" and (?![^{]*\})")  # not within braces
_ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308"}  # combining
_ACCENT = re.compile(r"\{?\\([`'^~\"])\{?(\w)\}?\}?")


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry.

    Attributes
    ----------
    kind, key : str
        As in ``@article{tan2021, ...}``.
    fields : dict
        Field -> its content, in one line, without the outer braces.
    text : str
        The whole entry, as it is written.
    """

    kind: str
    key: str
    fields: dict[str, str]
    text: str

    @property
    def author_year(self) -> str:
        """How a text names it: "Tan and Le, 2021"."""
        return f"{_authors(self.fields['author'])}, {self.fields['year']}"


def read_library() -> dict[str, Entry]:
    """Return the works that this program can cite, by their keys."""
    return read_entries(files("mri_saliency.report").joinpath("references.bib").read_text(encoding="utf-8"))


def read_entries(text: str) -> dict[str, Entry]:
    """Split a BibTeX file into its entries, by their keys.

    Fields are in braces, as in ``year = {2021}``; there are no strings, comments or preambles.

    Raises
    ------
    ValueError
        A brace is not closed, or a key occurs twice.
    """
    entries: dict[str, Entry] = {}
    for match in re.finditer(r"^@(\w+)\{([\w-]+),", text, re.MULTILINE):
        kind, key = match.groups()
        body = _braced(text, match.start() + len(kind) + 1)
        if key in entries:
            raise ValueError(f"{key} occurs twice")
        entries[key] = Entry(kind, key, _fields(body), f"@{kind}{{{body}}}")
    return entries


def cited_keys(sentences: Iterable[str]) -> list[str]:
    """Return the keys that sentences cite, each once, in the order of the first citation."""
    marks = (mark for sentence in sentences for mark in _MARK.findall(sentence))
    return list(dict.fromkeys(key for mark in marks for key in re.findall(r"@([\w-]+)", mark)))


def with_authors(sentence: str, library: Mapping[str, Entry]) -> str:
    """Replace the citations of a sentence by authors and years: " [@tan2021]" -> " (Tan and Le, 2021)".

    A mark with a key that is not in the library is no citation, and stays.
    """

    def named(match: re.Match) -> str:
        keys = re.findall(r"@([\w-]+)", match[1])
        if not library.keys() >= set(keys):
            return match[0]
        return f" ({'; '.join(library[key].author_year for key in keys)})"

    return _MARK.sub(named, sentence)


def _braced(text: str, start: int) -> str:
    """Return what lies between the brace at `start` and the one that closes it."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place]
    raise ValueError(f"a brace is not closed: {text[start : start + 40]!r}")


def _fields(body: str) -> dict[str, str]:
    fields, place = {}, 0
    while match := _FIELD.search(body, place):
        content = _braced(body, match.end() - 1)
        fields[match[1].lower()] = " ".join(content.split())
        place = match.end() + len(content)
    return fields


def _authors(field: str) -> str:
    """Return the surnames of one or two authors, or the first one's with "et al."."""
    names = [_plain(name.split(", ")[0]) for name in _BETWEEN_AUTHORS.split(field)]
    if len(names) <= 2 and names[-1] != "others":
        return " and ".join(names)
    return f"{names[0]} et al."


def _plain(text: str) -> str:
    """Return BibTeX's text in Unicode, without braces."""
    accented = _ACCENT.sub(lambda match: match[2] + _ACCENTS[match[1]], text)
    return unicodedata.normalize("NFC", accented).replace("{", "").replace("}", "")
