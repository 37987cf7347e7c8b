"""Findings -> the answer on the first screen: where the network looked, whether to believe it, what to do.

The rules. A method counts unless an alarm spoils it, such as a failed check. A region stands out by a method
if patients have significantly more there than controls (p ≤ 0.05, corrected for all regions and contrasts of
the method, by a ratio above 1 that the null map's does not explain: `exceeds_null`), and if it is among the
densest regions (three, or 3 % of many, at most a tenth) in most of these patients. The leading method is, of
those that count, one by which a region stands out; among several one with a sign, then one whose maps all add
up, then the one of the smallest median error. Another method says so if one of the leading one's regions
stands out by it too; contradicts if it has significantly less there; agrees in part if that region is among
its densest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np
import pandas as pd

from mri_saliency.attribution.baselines import FEW_HEALTHY
from mri_saliency.checks.verdicts import CHECKS
from mri_saliency.groups.sentences import ENOUGH
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import METHODS
from mri_saliency.report.evidence import FOCUS, place_of, region_evidence
from mri_saliency.report.findings import Findings
from mri_saliency.statistics.contrasts import ALIGNED, LEFT, MIN_SUBJECTS, RIGHT
from mri_saliency.statistics.normal_ranges import LEAST_CONTROLS
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import DEFAULT_CLASS_NAMES, NUMBERS, counted, first_of, listed, with_minus

_MOST_ACTIONS, _MOST_ROWS, _MOST_TILES = 4, 4, 10
_SO, _PART, _OPPOSITE = "says so too", "agrees in part", "says the opposite"
FULL, HALF, NO_CHECK, FAILED = "tick", "half", "dash", "cross"  # what is known of a method
_PLACES = {  # where a region lies -> its name with its side
    "focus": "the {} of the side {}", "other": "the {} of the other side", "both": "the {} of both sides",
    "left": "the left {}", "right": "the right {}", None: "the {}",
}  # fmt: skip


@dataclass(frozen=True)
class MethodLine:
    """Whether a method's maps can be believed."""

    method: str
    state: str  # `FULL` to `FAILED`
    problems: str  # what is wrong with some of its maps
    is_tested: bool  # on this network


@dataclass(frozen=True)
class Answer:
    """What the first screen says."""

    headline: str
    subline: str
    methods: list[MethodLine]  # the leading one, whose maps are shown, first
    rows: list[dict]  # of regions that stand out by it: rows of `region_evidence`
    n_less: list[int]  # regions with significantly less than in controls, by contrast
    side: dict | None  # the row of lateralisation.csv that tells most about the regions
    actions: list[str]  # before the maps are used, the most important first


@lru_cache(1)  # for the page and the screen
def find_answer(findings: Findings) -> Answer:
    """Return the answer, by the rules above."""
    return _Rules(findings).answer()


def short_answer(findings: Findings) -> list[str]:
    """Return the answer as the last lines on the screen."""
    answer = find_answer(findings)
    lines = [f"{answer.headline} {answer.subline}"]
    for state, words in ((FULL, "passed the checks"), (FAILED, "failed")):
        lines += [
            f"{METHODS[line.method].heading} {words}{line.problems and f': {line.problems}'}."
            for line in answer.methods
            if line.state == state
        ]
    return [*lines, *answer.actions]


def tiles(scans: Sequence[MapStatistics]) -> list[MapStatistics]:
    """Return whose maps stand side by side: ten patients, else controls, the wrong and least sure first."""
    rows = [scan for scan in scans if scan.is_tle] or list(scans)
    if len(rows) > _MOST_TILES:
        return sorted(rows, key=lambda row: (row.predicts_tle == row.is_tle, row.confidence))[:_MOST_TILES]
    return sorted(rows, key=lambda row: (row.diagnosis, row.sample_idx))


class _Rules:
    """The rules, on what was found."""

    def __init__(self, findings: Findings) -> None:
        self.findings, names = findings, findings.folder.class_names
        is_default = names == DEFAULT_CLASS_NAMES
        self.patients, self.controls = (
            ("patients", "healthy controls") if is_default else (names.tle, names.hc)
        )
        self.seizures = "where seizures start" if is_default else "of the focus"
        self.spoiled = {alarm.method for alarm in findings.alarms if alarm.spoils}
        self.tested = {
            method
            for method, answers in findings.verdicts.items()
            if any(check in CHECKS and verdict.passed is not None for check, verdict in answers.items())
        }
        self.counting = [method for method in findings.methods if method not in self.spoiled]
        self.evidence = region_evidence(findings)
        self.leading = min(self.counting or findings.methods, key=self._rank)
        self.rows = self._standing(self.leading)

    def _standing(self, method: str) -> pd.DataFrame:
        return self.evidence[(self.evidence["method"] == method) & self.evidence["stands_out"]]

    def _rank(self, method: str) -> tuple[bool, bool, bool, float]:
        rows = [record.statistics for record in self.findings.records if record.method == method]
        errors = [row.map_error for row in rows if row.map_error is not None]
        adds_up = all(row.completeness_verdict == "ok" for row in rows)
        found = bool(len(self._standing(method)) or (self.evidence.empty and self._peaks(method)))
        return not found, not METHODS[method].signed, not adds_up, median(errors or [np.inf])

    def _peaks(self, method: str) -> list[Mapping]:
        """Return the strongest cluster of each contrast in which patients have more than controls."""
        first: dict[str, Mapping] = {}
        for row in self.findings.groups.clusters:
            is_more = row["method"] == method and row["peak_effect"] > 1 and row["peak_x"] is not None
            if is_more and str(row.get("exceeds_null")) != "False":
                first.setdefault(row["contrast"], row)
        return [row for name, row in first.items() if name != ALIGNED.name or len(first) == 1]

    def answer(self) -> Answer:
        """Return the answer."""
        headline, subline = self._missing() or self._headline()
        evidence, table = self.evidence, self.findings.lateralisation
        shown = self.rows.sort_values("contrast", key=lambda names: names == ALIGNED.name, kind="stable")
        shown = shown[~shown.duplicated("place") | (shown["contrast"] != ALIGNED.name)].head(_MOST_ROWS)
        less = evidence[
            (evidence["method"] == self.leading) & (evidence["p"] <= SIGNIFICANT) & (evidence["ratio"] < 1)
        ]
        n_less = [int((less["contrast"] == name).sum()) for name in shown["contrast"].unique()]
        sides = table[table["method"] == self.leading].to_dict("records") if len(table) else []
        bases = {place for place, _ in self.rows["place"]}
        first = [row for row in sides if place_of(row["left_region"], "")[0] in bases]
        methods = sorted(self.findings.methods, key=lambda method: method != self.leading)
        return Answer(
            headline, subline, [self._line(method) for method in methods], shown.to_dict("records"),
            n_less, next(iter(first + sides), None),
            [] if self.findings.state else [*self._actions(), *self._weaknesses()][:_MOST_ACTIONS],
        )  # fmt: skip

    def _missing(self) -> tuple[str, str] | None:
        """Return why there is no answer, as a headline; None if there is one."""
        findings, groups = self.findings, self.findings.groups
        n_patients, n_controls = self._count("left", "right", "TLE"), self._count("HC")
        found = f"Here are {n_patients} {self.patients} and {n_controls} {self.controls}."
        if findings.state:
            return "No answer yet.", "Patients and controls are compared once all maps are made."
        if len(findings.region_test) or groups.contrasts:
            return None
        if len(findings.scans) == 1:
            return "One scan, so no answer about a group.", "A map shows what moved the network on this scan."
        if min(n_patients, n_controls) < MIN_SUBJECTS:
            return "Too few people for an answer.", f"It takes {MIN_SUBJECTS} in each group. {found}"
        return "Groups were not compared.", " ".join(limit.sentence for limit in groups.limitations) or found

    def _headline(self) -> tuple[str, str]:
        provisional = "" if self.leading in self.tested else "Provisional: maps not tested on this network. "
        views = {method: self._view(method) for method in self.findings.methods if method != self.leading}
        if not self.counting:
            return "No method's maps can be used as they are.", "Each fails a check."
        if len(self.rows):
            claim = "; ".join(self._claims())
            if any(views.get(method) == _OPPOSITE for method in self.counting):
                claim = f"Methods disagree. By {METHODS[self.leading].title}, {claim[0].lower()}{claim[1:]}"
            return f"{claim}.", f"{provisional}{self._agreement(views)}"
        failing = f"{provisional}{self._agreement({})}"
        places = " and ".join(map(_in_mm, self._peaks(self.leading)))
        more = f"looked more than in {self.controls} {places}"
        if places and self.evidence.empty:
            return f"In {self.patients} the network {more}.", f"By {METHODS[self.leading].title}. {failing}"
        own = self.evidence[(self.evidence["method"] == self.leading) & self.evidence["is_of_scans"]]
        if len(own):
            names = first_of(list(dict.fromkeys(base for base, _ in own["place"])), 3)
            why = f"There is more in the {names}, but the scans themselves differ there as much."
        elif places:
            why = f"Yet in places smaller than a region, the network {more}."
        else:
            why = (
                f"No method that counts shows significantly more in {self.patients} than in {self.controls}."
            )
        return f"No {'place' if self.evidence.empty else 'region'} stood out.", f"{why} {failing}"

    def _claims(self) -> list[str]:
        """Return in whom the network relied on what; first where both sides say the same."""
        places = {name: rows["place"].tolist() for name, rows in self.rows.groupby("contrast", sort=False)}
        left, right = (places.get(contrast.name, []) for contrast in (LEFT, RIGHT))
        if focus := [*places.pop(ALIGNED.name, []), *(place for place in left if place in right)]:
            return [self._relied("", focus)]
        sided = {name: found for name, found in places.items() if name in FOCUS}
        return [
            self._relied(f" with a focus on the {FOCUS[name]}" if name in FOCUS else "", found)
            for name, found in (sided or places).items()
        ]

    def _relied(self, whose: str, places: Sequence[tuple[str, str | None]]) -> str:
        names: dict[str | None, list[str]] = {}  # side -> regions
        for base, side in dict.fromkeys(places):
            is_both = side in ("left", "right") and {(base, "left"), (base, "right")} <= set(places)
            of_side = names.setdefault("both" if is_both else side, [])
            of_side += [base] if base not in of_side else []
        few = {side: listed(bases) if len(bases) < 4 else first_of(bases, 3) for side, bases in names.items()}
        words = listed(_PLACES[side].format(bases, self.seizures) for side, bases in few.items())
        return f"In {self.patients}{whose} the network relied most on {words}"

    def _view(self, method: str) -> str:
        """Return what a method says of the leading one's regions."""
        if set(self._standing(method)["place"]) & set(self.rows["place"]):
            return _SO
        same = self.evidence[self.evidence["method"] == method].merge(self.rows[["contrast", "region"]])
        if ((same["p"] <= SIGNIFICANT) & (same["ratio"] < 1)).any():
            return _OPPOSITE
        return _PART if same["is_top"].any() else "does not show it"

    def _agreement(self, views: Mapping[str, str]) -> str:
        """Return which methods agree with the leading one, which do not, and which fail a check."""
        n, parts = len(self.findings.methods), []
        agreeing = [self.leading, *(method for method in self.counting if views.get(method) == _SO)]
        if views:
            verb = "say so" if len(agreeing) > 1 else "says so"
            parts.append(f"{NUMBERS[len(agreeing)].capitalize()} of {NUMBERS[n]} methods {verb}")
        for method in self.findings.methods:
            view, fails = views.get(method, ""), method in self.spoiled
            if fails or (view and method not in agreeing):
                link = {"": "", _SO: ", but "}.get(view, ", and ") if fails else ""
                parts.append(f"{METHODS[method].heading} {view}{link}{'fails a check' if fails else ''}")
        return f"{'; '.join(parts)}." if parts else ""

    # --- can the maps be believed, what to do ---

    def _line(self, method: str) -> MethodLine:
        state = HALF if METHODS[method].completes else NO_CHECK
        answers = self.findings.verdicts.get(method, {}).values()
        if method in self.tested and all(verdict.passed is not False for verdict in answers):
            state = FULL
        if method in self.spoiled:
            state = FAILED
        problems = [alarm.problem for alarm in self.findings.alarms if alarm.method == method]
        return MethodLine(method, state, ", ".join(problems), method in self.tested)

    def _actions(self) -> Iterator[str]:
        """Yield what to do about methods, scans and maps that something is wrong with."""
        helps: dict[str, list[str]] = {}  # what helps -> the methods
        for method in self.findings.methods:
            alarms = [alarm for alarm in self.findings.alarms if alarm.method == method and alarm.spoils]
            if alarms:
                known = dict.fromkeys(alarm.remedy for alarm in alarms if alarm.remedy)
                # another may say how far an option is to be raised
                vague = {a for a in known for b in known if a != b and a.removeprefix("raise ") in b}
                remedies = [remedy for remedy in known if remedy not in vague]
                end = f", or {listed(remedies)}" if remedies else f": {alarms[0].problem}"
                helps.setdefault(end, []).append(METHODS[method].heading)
        yield from (f"Leave {listed(titles)} out{end}." for end, titles in helps.items())
        if n := len(self.findings.input_warnings):
            yield f"Look at {counted(n, 'scan')} with an input warning: to the network, they may look odd."
        if n := len(self.findings.failures):
            yield f"Repeat the run: {counted(n, 'map')} could not be made."
        if not self.tested:
            yield "Run --check_maps: no method has been tested on this network."

    def _weaknesses(self) -> Iterator[str]:
        """Yield what is weak because people are few, or no atlas names regions."""
        if self.findings.comparison and self.findings.comparison.atlas is None:
            yield "Name an --atlas: regions say more than places in mm."
        sides, n_controls = [self._count(side) for side in ("left", "right")], self._count("HC")
        n = min(sides) if all(sides) else self._count("left", "right", "TLE")
        if MIN_SUBJECTS <= n < ENOUGH:
            yield f"{n} {'people a side' if all(sides) else self.patients}: p near 0.05 is weak evidence."
        weak = {LEAST_CONTROLS: "no normal ranges ({} needed)", FEW_HEALTHY: "a rough baseline ({})"}
        words = [text.format(least) for least, text in weak.items() if n_controls < least]
        if n_controls and words:
            controls = self.controls.removesuffix("s") if n_controls == 1 else self.controls
            yield f"{n_controls} {controls}: {', '.join(words)}."

    def _count(self, *diagnoses: str) -> int:
        return len({scan.subject for scan in self.findings.scans if scan.diagnosis in diagnoses})


def _in_mm(peak: Mapping) -> str:
    place = ", ".join(f"{axis} = {peak[f'peak_{axis}']:.0f}" for axis in "xyz")
    side = f" (focus on the {FOCUS[peak['contrast']]})" if peak["contrast"] in FOCUS else ""
    return with_minus(f"around {place} mm{side}")
