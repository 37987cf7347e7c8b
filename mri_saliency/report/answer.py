"""Findings -> the answer on the first screen: where the network looked, whether to believe it, what to do.

The rules. A method counts unless an alarm spoils it, such as a failed check. A region stands out by a method
if patients have significantly more there than controls (p ≤ 0.05, corrected for all regions and contrasts of
the method, by a ratio above 1 that `exceeds_null` does not explain away), and if it is among the densest
tenth of the regions in most of these patients. The leading method is, of those that count, one by which a
region stands out; among several one with a sign, then one whose maps all add up, then that of the smallest
median error. Another method says so if a region of the leading one stands out by it too; it contradicts if it
has significantly less there; it agrees in part if that region is at least among its densest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from mri_saliency.attribution.baselines import FEW_HEALTHY
from mri_saliency.checks.verdicts import CHECKS
from mri_saliency.groups.sentences import ENOUGH
from mri_saliency.inputs.atlas import side_of, without_side
from mri_saliency.maps.comparison import AGREEMENT, CHANCE
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import METHODS
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.findings import Findings
from mri_saliency.statistics.contrasts import ALIGNED, ALL_PATIENTS, LEFT, MIN_SUBJECTS, RIGHT
from mri_saliency.statistics.intervals import share_interval
from mri_saliency.statistics.normal_ranges import LEAST_CONTROLS
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import DEFAULT_CLASS_NAMES, counted, first_of, listed, percent, with_minus

_DENSEST = 0.1  # of the regions
_NOISY = 0.1  # error of a map's voxels that is worth a word
_MOST_ACTIONS, _MOST_ROWS, _MOST_TILES = 4, 4, 10
_SIDES = {LEFT.name: "left", RIGHT.name: "right", ALIGNED.name: "left"}  # contrast -> of its foci
_PATIENTS_OF = {LEFT.name: ["left"], RIGHT.name: ["right"], ALIGNED.name: ["left", "right"]}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
FULL, HALF, NO_CHECK, FAILED, OPEN = "tick", "half", "dash", "cross", "question"  # what is known of a method


@dataclass(frozen=True)
class MethodLine:
    """Whether a method's maps can be believed; a line about several methods has no `method`."""

    state: str  # `FULL` to `OPEN`
    title: str
    words: str
    method: str = ""


@dataclass(frozen=True)
class RegionRow:
    """A region that stands out in one contrast of the leading method; densities are geometric means."""

    region: str
    contrast: str
    patients: float
    controls: float
    ratio: float
    p: float
    n_densest: int  # patients in whom no region is denser
    n_top: int  # in whom it is among the densest tenth
    n_patients: int

    @property
    def place(self) -> tuple[str, str]:
        """The region without its side, and the side: of the contrast's focus, the other, or its own."""
        side, focus = side_of(self.region), _SIDES.get(self.contrast)
        relation = side if focus is None or side is None else ("focus" if side == focus else "other")
        return without_side(self.region), relation or ""


@dataclass(frozen=True)
class Right:
    """How often the network was right: of `n` scans, with a 95 % interval, and by class."""

    k: int
    n: int
    interval: tuple[float, float]
    by_class: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Answer:
    """What the first screen says."""

    headline: str
    subline: str
    leading: str  # the method whose maps are shown
    methods: list[MethodLine]
    rows: list[RegionRow]  # at most four
    n_less: dict[str, int]  # contrast -> regions with significantly less than in controls
    right: Right
    disease: str  # what grey matter alone tells
    actions: list[str]


def find_answer(findings: Findings) -> Answer:
    """Return the answer by the rules above."""
    rules = _Rules(findings)
    headline, subline = rules.headline()
    leading, test = rules.leading, findings.region_test
    shown = sorted(rules.rows[leading], key=lambda row: (row.contrast not in (LEFT.name, RIGHT.name), row.p))
    both = {row.place for row in shown if row.contrast != ALIGNED.name}
    shown = [row for row in shown if row.contrast != ALIGNED.name or row.place not in both]
    less = {}
    if len(test):
        low = test[(test["method"] == leading) & (test["p"] <= SIGNIFICANT) & (test["ratio"] < 1)]
        less = {contrast: len(rows) for contrast, rows in low.groupby("contrast", sort=False)}
    return Answer(
        headline, subline, leading, rules.method_lines(), shown[:_MOST_ROWS], less,
        _right(findings), rules.disease(), rules.actions(),
    )  # fmt: skip


def answer_lines(findings: Findings) -> list[str]:
    """Return the answer as the last lines on the screen."""
    answer, words = find_answer(findings), {FULL: "passed", FAILED: "FAILED"}
    low, high = answer.right.interval
    return [
        f"the network was right on {answer.right.k} of {answer.right.n} scans (95% interval {low:.0%} to {high:.0%})",
        f"{answer.headline} {answer.subline}",
        *(f"  {line.title}: {words.get(line.state, 'not tested')}; {line.words}" for line in answer.methods if line.method),
        *(f"  {n}. {action}" for n, action in enumerate(answer.actions, 1)),
    ]


def tiles(scans: Sequence[MapStatistics]) -> list[MapStatistics]:
    """Return the scans whose maps stand side by side: ten patients, without any ten controls.

    Of more, the wrong ones, then the least sure.
    """
    rows = [scan for scan in scans if scan.is_tle] or list(scans)
    if len(rows) > _MOST_TILES:
        rows = sorted(rows, key=lambda row: (row.predicts_tle == row.is_tle, row.confidence))[:_MOST_TILES]
    return sorted(rows, key=lambda row: (row.diagnosis, row.sample_idx))


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return names without what they begin with alike: "sub-DEMO02" -> "02"."""
    common = re.sub(r"[0-9]+$", "", os.path.commonprefix(list(names))) if len(names) > 1 else ""
    return {name: name.removeprefix(common) or name for name in names}


def _right(findings: Findings) -> Right:
    is_right = [(scan.is_tle, scan.predicts_tle == scan.is_tle) for scan in findings.scans]
    k, n, by_class = sum(right for _, right in is_right), len(is_right), {}
    for name, is_tle in (("TLE", True), ("HC", False)):
        of_class = [right for tle, right in is_right if tle == is_tle]
        if of_class:
            by_class[findings.words[name]] = sum(of_class), len(of_class)
    return Right(k, n, share_interval(k, n), by_class)


class _Rules:
    """What the rules find, step by step."""

    def __init__(self, findings: Findings) -> None:
        self.findings, self.names = findings, findings.folder.class_names
        is_default = self.names == DEFAULT_CLASS_NAMES
        self.patients = "patients" if is_default else self.names.tle
        self.controls = "healthy controls" if is_default else self.names.hc
        self.focus_side = "the side where seizures start" if is_default else "the side of the focus"
        self.spoiled = {alarm.method for alarm in findings.alarms if alarm.spoils}
        self.counting = [method for method in findings.methods if method not in self.spoiled]
        self.tested = {
            method
            for method, answers in findings.verdicts.items()
            if any(check in CHECKS and verdict.passed is not None for check, verdict in answers.items())
        }
        self._densities = {method: self._by_subject(method) for method in findings.methods}
        self.rows = {method: self._standing_out(method) for method in findings.methods}
        self.leading = min(self.counting or findings.methods, key=self._rank)

    def _rank(self, method: str) -> tuple[bool, bool, bool, float]:
        rows = [record.statistics for record in self.findings.records if record.method == method]
        errors = [row.map_error for row in rows if row.map_error is not None]
        adds_up = all(row.completeness_verdict == "ok" for row in rows)
        return not self.rows[method], not METHODS[method].signed, not adds_up, median(errors or [np.inf])

    # --- which regions stand out ---

    def _by_subject(self, method: str) -> pd.DataFrame:
        """Return the logarithm of each subject's density, (subject, diagnosis) x region."""
        regions = self.findings.regions
        if regions.empty:
            return pd.DataFrame()
        own = regions[(regions["method"] == method) & (regions["region"] != OUTSIDE)]
        by_scan = own.pivot_table(
            index=["subject", "diagnosis", "subject_id"], columns="region", values="density"
        )
        with np.errstate(divide="ignore"):
            return np.log(by_scan).groupby(level=["subject", "diagnosis"]).mean()

    def _standing_out(self, method: str) -> list[RegionRow]:
        test, rows = self.findings.region_test, []
        if test.empty:
            return []
        more = test[(test["method"] == method) & (test["p"] <= SIGNIFICANT) & (test["ratio"] > 1)]
        for found in more.to_dict("records"):
            if found.get("exceeds_null") in (False, "False"):  # NaN: not known
                continue
            row = self._row(method, found)
            if row.n_top > row.n_patients / 2:
                rows.append(row)
        return rows

    def _row(self, method: str, found: Mapping) -> RegionRow:
        """Return what is shown of a row of region_group_test.csv."""
        values, region, contrast = self._densities[method], found["region"], found["contrast"]
        mirrored = {(without_side(name), side_of(name)): name for name in values.columns}
        base, side = without_side(region), side_of(region)
        other = mirrored.get((base, {"left": "right", "right": "left"}.get(side or "")), region)
        ranks, n_top, n_densest, own = values.rank(axis=1, ascending=False), 0, 0, []
        most = max(1, _DENSEST * values.shape[1])
        wanted = _PATIENTS_OF.get(contrast, ["left", "right", "TLE"])
        controls = values[values.index.get_level_values("diagnosis") == "HC"]
        for diagnosis in wanted:
            name = other if contrast == ALIGNED.name and diagnosis == "right" else region
            of_group = values.index.get_level_values("diagnosis") == diagnosis
            n_top += int((ranks.loc[of_group, name] <= most).sum())
            n_densest += int((ranks.loc[of_group, name] == 1).sum())
            own += values.loc[of_group, name].tolist()
        of_controls = controls[[region, other] if contrast == ALIGNED.name else [region]].to_numpy()
        return RegionRow(
            region, contrast, float(np.exp(np.mean(own))), float(np.exp(of_controls.mean())),
            found["ratio"], found["p"], n_densest, n_top, len(own),
        )  # fmt: skip

    def _claims(self, method: str) -> dict[str, list[tuple[str, str]]]:
        """Return whose regions stand out: a contrast, or "" for all patients -> their places."""
        places = {
            name: list(dict.fromkeys(row.place for row in self.rows[method] if row.contrast == name))
            for name in (LEFT.name, RIGHT.name, ALIGNED.name, ALL_PATIENTS.name)
        }
        of_both = [place for place in places[LEFT.name] if place in places[RIGHT.name]]
        if of_focus := list(dict.fromkeys([*places.pop(ALIGNED.name), *of_both])):
            return {"": of_focus}
        if places[LEFT.name] or places[RIGHT.name]:
            del places[ALL_PATIENTS.name]
        return {"" if name == ALL_PATIENTS.name else name: found for name, found in places.items() if found}

    def _peaks(self, method: str) -> list[Mapping]:
        """Return the strongest cluster of each contrast in which patients have more than controls."""
        first: dict[str, Mapping] = {}
        for row in self.findings.groups.clusters:
            if row["method"] == method and row["peak_effect"] > 1 and row["peak_x"] is not None:
                first.setdefault(row["contrast"], row)
        if len(first) > 1:
            first.pop(ALIGNED.name, None)
        return list(first.values())

    def _view_of(self, method: str) -> str:
        """Return what a method says of the leading one's regions, as the end of a sentence."""
        rows, found = self.rows[self.leading], "does not show it"
        if {row.place for row in self.rows[method]} & {row.place for row in rows}:
            return "says so too"
        test = self.findings.region_test
        for row in rows:
            same = (test["method"] == method) & (test["contrast"] == row.contrast)
            for other in test[same & (test["region"] == row.region)].to_dict("records"):
                if other["p"] <= SIGNIFICANT and other["ratio"] < 1:
                    return "says the opposite"
                seen = self._row(method, other)
                if seen.n_top > seen.n_patients / 2:
                    found = "agrees in part"
        return found

    # --- the headline ---

    def headline(self) -> tuple[str, str]:
        """Return the answer in a sentence, and what it rests on."""
        missing = self._missing()
        if missing:
            return missing
        claims, peaks = self._claims(self.leading), self._peaks(self.leading)
        provisional = "" if self.leading in self.tested else "Provisional: maps not tested on this network. "
        failing = [self._title(method) for method in self.findings.methods if method in self.spoiled]
        left_out = f" {listed(failing)} {'fails' if len(failing) == 1 else 'fail'} a check." if failing else ""
        if not self.counting:
            return "No method's maps can be used as they are.", f"All fail a check:{left_out}"
        if claims:
            text = "; ".join(self._relied(who, places) for who, places in claims.items())
            views = {m: self._view_of(m) for m in self.findings.methods if m != self.leading}
            if any(views.get(method) == "says the opposite" for method in self.counting):
                text = f"Methods disagree: by {self._title(self.leading)}, {text[0].lower()}{text[1:]}"
            return f"{text}.", provisional + self._agreement(views)
        if not len(self.findings.region_test) and peaks:
            places = " and ".join(self._place(peak) for peak in peaks)
            alone = f"By {self._title(self.leading)}; no atlas names the place.{left_out}"
            return f"In {self.patients} the network looked more than in {self.controls} {places}.", provisional + alone
        n = _NUMBERS[len(self.counting)]
        by = f"of {n} methods" if len(self.counting) > 1 else f"({self._title(self.leading)})"
        what = "region" if len(self.findings.region_test) else "place"
        why = f"In none do {self.patients} have significantly more than {self.controls}, and much, by any {by}."
        return f"No {what} stood out.", f"{provisional}{why}{left_out}"

    def _missing(self) -> tuple[str, str] | None:
        """Return why there can be no answer; None if there can."""
        findings, groups = self.findings, self.findings.groups
        if findings.state is not None:
            done = f"{findings.state.n_done} of {counted(findings.state.n_planned, 'map')} made."
            return "No answer yet.", f"{done} Groups are compared once all are."
        if len(findings.region_test) or groups.contrasts:
            return None
        if len(findings.scans) == 1:
            return "One scan: no answer about a group.", "Its maps are below. A map shows no more than this scan."
        n = {name: self._count(lambda scan, tle=tle: scan.is_tle == tle) for name, tle in (("HC", 0), ("TLE", 1))}
        found = f"here are {n['TLE']} {self.patients} and {n['HC']} {self.controls}"
        if min(n.values()) < MIN_SUBJECTS:
            return "Too few people for an answer.", (
                f"A comparison of groups needs {MIN_SUBJECTS} people in each; {found}."
            )
        return "Groups were not compared.", " ".join(limit.sentence for limit in groups.limitations[:2]) or f"{found}."

    def _relied(self, who: str, places: list[tuple[str, str]]) -> str:
        side = self.focus_side if not who else "that side"
        with_focus = f" with a focus on the {_SIDES[who]}" if who else ""
        names: dict[str, list[str]] = {}  # side, in words -> regions
        for base, relation in places:
            if relation in ("left", "right"):
                relation = "both" if {(base, "left"), (base, "right")} <= set(places) else relation
            names.setdefault(relation, []).append(_as_noun(base))
        patterns = {
            "focus": f"the {{}} of {side}", "other": "the {} of the other side", "both": "the {} of both sides",
            "left": "the left {}", "right": "the right {}", "": "the {}",
        }  # fmt: skip
        listed_names = [
            patterns[relation].format(_listed_few(list(dict.fromkeys(bases)))) for relation, bases in names.items()
        ]
        return f"In {self.patients}{with_focus} the network relied most on {listed(listed_names)}"

    def _place(self, peak: Mapping) -> str:
        mm = ", ".join(f"{axis} = {peak[f'peak_{axis}']:.0f}" for axis in "xyz")
        sides = {LEFT.name: " with a focus on the left", RIGHT.name: " with a focus on the right"}
        return f"around {with_minus(mm)} mm{sides.get(peak['contrast'], '')}"

    def _agreement(self, views: Mapping[str, str]) -> str:
        """Return which methods agree with the leading one, and which contradict it."""
        n_methods = len(self.findings.methods)
        if n_methods == 1:
            return f"By {self._title(self.leading)} alone."
        agreeing = [self.leading, *(m for m in self.counting if views.get(m) == "says so too")]
        verb = "says so" if len(agreeing) == 1 else "say so"
        parts = [f"{_NUMBERS[len(agreeing)].capitalize()} of {_NUMBERS[n_methods]} methods {verb}"]
        for method, view in views.items():
            if method in self.spoiled:
                parts.append(f"{self._title(method)} {view}, {'but' if 'so' in view else 'and'} fails a check")
            elif method not in agreeing:
                parts.append(f"{self._title(method)} {view}")
        return f"{'; '.join(parts)}."

    # --- can the maps be believed, is it about the disease, what to do ---

    def method_lines(self) -> list[MethodLine]:
        """Return a line about each method, the leading one first, and one about those not tested."""
        methods = sorted(self.findings.methods, key=lambda method: method != self.leading)
        lines = [MethodLine(self._state(m), self._title(m), self._words(m), m) for m in methods]
        untested = [self._title(method) for method in methods if method not in self.tested]
        if untested and self.findings.state is None:
            n = len(untested)
            which = listed(untested) if n < len(methods) else {1: "It", 2: "Both"}.get(n, f"All {_NUMBERS[n]}")
            lines.append(MethodLine(OPEN, which, "not tested: would a scrambled network give the same map?"))
        return lines

    def _state(self, method: str) -> str:
        if method in self.spoiled:
            return FAILED
        if method in self.tested:
            return FULL
        return HALF if METHODS[method].completes else NO_CHECK

    def _words(self, method: str) -> str:
        """Return what is known of a method's maps."""
        known, rows = METHODS[method], [r.statistics for r in self.findings.records if r.method == method]
        alarms = [alarm.problem for alarm in self.findings.alarms if alarm.method == method]
        if method in self.spoiled:
            return f"{', '.join(alarms)}: do not use"
        parts = []
        if not known.unit == "logit":
            parts.append("shows where a change would matter, not what was used")
        verdicts = [row.completeness_verdict for row in rows if row.completeness_verdict]
        n_ok = verdicts.count("ok")
        parts.append(f"adds up in {n_ok} of {counted(len(rows), 'map')}" if verdicts else "has no sum to check")
        errors = [row.map_error for row in rows if row.map_error is not None]
        if errors and known.stochastic:
            noise = median(errors)
            parts.append(f"{'voxels noisy' if noise > _NOISY else 'error'} ({percent(noise)})")
        elif errors:
            parts.append(f"error at most {percent(max(errors))}")
        n_passed = sum(v.passed is True for v in self.findings.verdicts.get(method, {}).values())
        parts += [f"passed {counted(n_passed, 'check')}"] if n_passed else []
        parts += [text for text in alarms if "add up" not in text] + self._likeness(method)
        return "; ".join(parts)

    def _likeness(self, method: str) -> list[str]:
        """Return how like the leading method's maps a method's are, beside chance."""
        table = self.findings.agreement
        if method == self.leading or table.empty:
            return []
        pair = {method, self.leading}
        rows = table[[{a, b} == pair for a, b in zip(table["method_a"], table["method_b"], strict=True)]]
        value, chance = rows[AGREEMENT].mean(), rows[AGREEMENT + CHANCE].mean()
        if not np.isfinite([value, chance]).all():
            return []
        return [f"like the first by r {value:.2f}, {chance:.2f} between different people"]

    def disease(self) -> str:
        """Return whether grey matter alone tells the side of the focus as well."""
        table = self.findings.lateralisation
        rows = table[table["method"] == self.leading].dropna(subset=["auc", "grey_matter_auc"]) if len(table) else table
        if not len(rows):
            return "Age, sex, site or scanner look the same in a map, where they differ between the groups."
        bases = [place[0] for places in self._claims(self.leading).values() for place in places]
        named = [i for i, left in zip(rows.index, rows["left_region"], strict=True) if without_side(left) in bases]
        row = rows.loc[named[0] if named else rows.index[0]]
        better, worse = row["auc_difference_low"] > 0, row["auc"] > row["grey_matter_auc"]
        how = "better than" if better else ("not shown to be named better than" if worse else "as well")
        verb = "is named" if how != "not shown to be named better than" else "is"
        n = min(row["n_left"], row["n_right"])
        return (
            f"The side of the focus {verb} {how} by grey matter of the {_as_noun(without_side(row['left_region']))} "
            f"alone (area under the ROC curve {row['auc']:.2f} from the maps, {row['grey_matter_auc']:.2f} from "
            f"grey matter; with {n:.0f} people a side, 95% interval from {row['grey_matter_auc_low']:.2f})."
        )

    def actions(self) -> list[str]:
        """Return what to do before the maps are used, the most important first; at most four."""
        findings = self.findings
        helps: dict[str, list[str]] = {}  # what helps -> the methods
        for method in self.spoiled:
            alarms = [alarm for alarm in findings.alarms if alarm.method == method and alarm.spoils]
            remedies = listed(dict.fromkeys(a.remedy for a in alarms if a.remedy)) if any(a.remedy for a in alarms) else ""
            end = f", or {remedies}" if remedies else f": {alarms[0].problem}"
            helps.setdefault(end, []).append(self._title(method))
        found = [f"Leave {listed(titles)} out{end}." for end, titles in helps.items()]
        if findings.input_warnings:
            n = counted(len(findings.input_warnings), "scan")
            found.append(f"Look at {n} with an input warning: the network may see something else than in training.")
        if findings.failures:
            found.append(f"Repeat the run: {counted(len(findings.failures), 'map')} could not be made.")
        if not self.tested:
            found.append("Run --check_maps: no method has been tested on this network.")
        return [*found, *self._of_few()][:_MOST_ACTIONS]

    def _of_few(self) -> list[str]:
        """Return what is weak because people are few, or no atlas names regions."""
        sides = {side: self._count(lambda scan, side=side: scan.diagnosis == side) for side in ("left", "right")}
        n_patients, n_controls = (self._count(lambda s, tle=tle: s.is_tle == tle) for tle in (True, False))
        few, found = min(sides.values()) if all(sides.values()) else n_patients, []
        if 0 < few < ENOUGH:
            whom = "people a side" if all(sides.values()) else self.patients
            found.append(f"{few} {whom}: p near 0.05 is weak evidence.")
        weak = [f"no normal ranges ({LEAST_CONTROLS} needed)"] if n_controls < LEAST_CONTROLS else []
        weak += [f"rough baseline ({FEW_HEALTHY})"] if n_controls < FEW_HEALTHY else []
        if n_controls and weak:
            found.append(f"{n_controls} {self.controls}: {', '.join(weak)}.")
        if self.findings.comparison and self.findings.comparison.atlas is None:
            found.append("Name an --atlas: regions are easier to read than places in mm.")
        return found

    def _count(self, is_wanted) -> int:
        return len({scan.subject for scan in self.findings.scans if is_wanted(scan)})

    def _title(self, method: str) -> str:
        return METHODS[method].heading


def _listed_few(names: list[str]) -> str:
    return first_of(names, 3) if len(names) > 3 else listed(names)


def _as_noun(region: str) -> str:
    """Return a region's name within a sentence: "Hippocampus" -> "hippocampus"; an abbreviation as it is."""
    first, *rest = region.split(" ")
    return " ".join([first.lower() if first[1:].islower() else first, *rest])
