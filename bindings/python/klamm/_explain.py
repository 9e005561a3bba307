"""What explains runs and measures the harness: when a failure became likely, where two runs part, planted bugs, distances."""
import html
import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional

from . import _klamm
from ._errors import NotDeterministic, Refused
from ._runs import _SECOND, Report, Run, Scenario, _jobs, _Progress, replay

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas


def _whole(value, what, most):
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refused(f"{what}: expected a whole number from 1 to {most}, found {value!r}")
    return value


class Why:
    """When a run's failure became likely: `finding`, `failure` (seconds, when it showed), `moments`, `rise` (the pair of moments
    between which the share of futures that fail rises most, in seconds, or None), `between` (what happened there). `reproduced`
    is false when the run is not red: then there is nothing to explain."""

    def __init__(self, document):
        self.document, self.reproduced, self.finding = document, document["reproduced"], document["finding"]
        self.failure = document["failure_ns"] / _SECOND
        self.moments, self.between = document["moments"], document["between"]
        rise = document["rise"]
        self.rise = None if rise is None else tuple(self.moments[rise + i]["time_ns"] / _SECOND for i in (0, 1))

    def frame(self) -> "pandas.DataFrame":
        """A DataFrame, a row a moment: seconds, event, branches, failed, undecided, share (of the branches that fail)."""
        import pandas
        rows = [{"seconds": one["time_ns"] / _SECOND, "event": one["event"], "branches": one["branches"],
                 "failed": one["failed"], "undecided": one["undecided"],
                 "share": one["failed"] / one["branches"] if one["branches"] else float("nan")} for one in self.moments]
        return pandas.DataFrame(rows, columns=["seconds", "event", "branches", "failed", "undecided", "share"])

    def report(self) -> Report:
        """The table of moments, and what happened where the share rises most."""
        return Report(self.document["text"])

    def plot(self) -> "matplotlib.figure.Figure":
        """A picture: the share of futures that fail, over the moments from which they were lived."""
        from ._picture import Picture
        figure = Picture(figsize=(6, 2.6), layout="constrained")
        axes, frame = figure.add_subplot(), self.frame()
        axes.plot(frame["seconds"], frame["share"], "o-", markersize=3)
        axes.axvline(self.failure, color="#aa3333", linewidth=1)
        axes.set_xlabel("seconds")
        axes.set_ylabel("futures that fail")
        axes.set_ylim(-0.05, 1.05)
        return figure

    def __repr__(self):
        if not self.reproduced:
            return "<Why: the run is not red>"
        return f"<Why: {self.finding}; likely from {self.rise[1]:.3f} s on>" if self.rise else f"<Why: {self.finding}>"

    def _repr_html_(self):
        return self.report()._repr_html_()


def why(run: Run, branches: int = 16, moments: int = 32, jobs: Optional[int] = None, progress: Optional[bool] = None) -> Why:
    """Lives other futures from moments before a red run's failure, as `klamm why`: `branches` from each of up to `moments`, with
    the same plan and other luck. A share is an estimate: of 16 branches, 8 failing means between a quarter and three
    quarters."""
    line = _Progress("why", progress)
    document = json.loads(_klamm.explain_why(json.dumps(_run(run)._source), _whole(branches, "branches", 1000),
                                             _whole(moments, "moments", 200), _jobs(jobs), line.text))
    line.end()
    return Why(document)


def _run(run):
    if isinstance(run, str):
        return replay(run)
    if not isinstance(run, Run):
        raise Refused(f"expected a run or its token, found {run!r}")
    return run


class Divergence(dict):
    """Where two runs part: `equal`, and then `events` and `hash`; else `event` (the number of the first that differs), `one`,
    `other`, and `before`, the last equal one."""

    __getattr__ = dict.__getitem__

    @property
    def sentence(self) -> str:
        """It in words."""
        if self["equal"]:
            return f"equal: {self['events']} events, hash {self['hash']}"
        return f"the first event that differs is number {self['event']}: \"{self['one']}\" and \"{self['other']}\""

    def raise_if_different(self) -> "Divergence":
        """Gives itself, or raises NotDeterministic."""
        if not self["equal"]:
            raise NotDeterministic(self.sentence)
        return self


def diverge(run: Run, against: Optional[str] = None) -> Divergence:
    """Makes a run twice and compares event by event, as `klamm diverge`; with `against`, the path of another klamm program, once
    there. Then the run must have a token."""
    run = _run(run)
    source = run._source
    if against is not None:
        if run.token is None:
            raise Refused("another program needs a token, and this run has none")
        source = {"token": run.token}
    return Divergence(json.loads(_klamm.compare_runs(json.dumps(source), str(against or ""))))


class Zoo(list):
    """What a visit to planted bugs found: a list of dicts, one a bug: bug, found, as_expected, runs (up to the one that found
    it), reached (runs that took the wrong branch), cpu_seconds, rule, token, unplanted (tokens of runs that were red for another
    reason), text."""

    @property
    def as_expected(self) -> bool:
        """Each was found, or with without_needed none was."""
        return all(one["as_expected"] for one in self)

    def frame(self) -> "pandas.DataFrame":
        """A DataFrame, a row a bug."""
        import pandas
        return pandas.DataFrame([{key: value for key, value in one.items() if key != "text"} for one in self])

    def _repr_html_(self):
        return "<pre>" + html.escape("\n".join(one["text"] for one in self)) + "</pre>"


def zoo(*bugs: str, budget: float = 60, jobs: Optional[int] = None, first_seed: int = 1, profile: Optional[str] = None,
        off: Iterable[str] = (), without_needed: bool = False, progress: Optional[bool] = None) -> Zoo:
    """Plants bugs by their codes (klamm.catalogue()) and looks for each, as `klamm zoo --bug`; `budget`: seconds of CPU a bug.
    without_needed: the counter-check, without the faults that the bug needs, expects not to find it."""
    from . import catalogue
    if not bugs:
        bugs = tuple(one["code"] for one in catalogue()["bugs"] if one["in_cluster"])
    line, found = _Progress("zoo", progress), Zoo()
    for bug in bugs:
        asked = {"bug": bug, "budget_ms": round(budget * 1000), "jobs": _jobs(jobs), "first_seed": first_seed,
                 "profile": profile or "", "off": list(off), "without_needed": without_needed}
        one = json.loads(_klamm.visit_zoo(json.dumps(asked), line.text, lambda text, bug=bug: line.text(f"{bug}, {text}")))
        one["cpu_seconds"] = one.pop("cpu_ns") / _SECOND
        found.append(one)
    line.end()
    return found


class KillMatrix:
    """Every plant in every profile: `rows`, `all_killed`, and `document`, the text of scenarios/zoo/README.md."""

    def __init__(self, document):
        self.rows, self.all_killed, self.document = document["rows"], document["all_killed"], document["document"]

    def frame(self) -> "pandas.DataFrame":
        """A DataFrame, a row a bug (None: no plant) and profile: reached, and of the judge and of the clients' history alone
        found, runs, cpu_seconds, rule, token."""
        import pandas
        rows = []
        for row in self.rows:
            flat = {"bug": row["bug"], "profile": row["profile"], "reached": row["reached"]}
            for who in ("judge", "history"):
                kill = dict(row[who])
                kill["cpu_seconds"] = kill.pop("cpu_ns") / _SECOND
                flat.update({f"{who}_{key}": value for key, value in kill.items()})
            rows.append(flat)
        return pandas.DataFrame(rows)

    def __repr__(self):
        return f"<KillMatrix of {len(self.rows)} rows, {'all killed' if self.all_killed else 'some were missed'}>"


def kill_matrix(budget: float = 60, jobs: Optional[int] = None, profile: Optional[str] = None, first_seed: int = 1,
                progress: Optional[bool] = None) -> KillMatrix:
    """Every plant of the cluster in every profile, or in one, as `klamm zoo`; `budget`: seconds of CPU a row. Long: some ninety
    rows."""
    line = _Progress("kill matrix", progress)
    asked = {"budget_ms": round(budget * 1000), "jobs": _jobs(jobs), "first_seed": first_seed, "profile": profile or ""}
    document = json.loads(_klamm.visit_zoo(json.dumps(asked), line.text, line.text))
    line.end()
    return KillMatrix(document)


class Distance:
    """How far settings are from a loss: `faults` (the fewest; None: none of up to `searched` faults), `schedule` (sentences),
    `loss`, `scenario` (a klamm.Scenario that shows it, or None), `remedies` (settings that were tried: setting, costs, faults),
    `runs`."""

    def __init__(self, document):
        self.document, self.faults, self.searched = document, document["faults"], document["searched"]
        self.schedule: List[str] = document["schedule"]
        self.loss, self.remedies, self.runs = document["loss"], document["remedies"], document["runs"]
        self.scenario = Scenario(json.loads(document["scenario"])) if document["scenario"] else None

    @property
    def remedy(self) -> Optional[Dict[str, Any]]:
        """The cheapest setting that raises it: setting, costs; None when there is none, or none was asked for."""
        return next((one for one in self.remedies if one["faults"] is None), None)

    def __repr__(self):
        return f"<Distance {self.faults if self.faults is not None else f'above {self.searched}'}: {self.document['settings']}>"


def distance(faults: int = 3, jobs: Optional[int] = None, remedies: bool = False, progress: Optional[bool] = None,
             **settings: Any) -> Distance:
    """The fewest physical faults that lose an acknowledged record, as `klamm distance`: of up to `faults`. settings by Kafka's
    names, spelt with underscores: replication_factor, min_insync, acks, flush_messages, unclean_leader_election_enable,
    eligible_leader_replicas, disks_die. remedies: also which change of one setting raises it."""
    from ._words import option_names
    line = _Progress("distance", progress)
    document = json.loads(_klamm.search_distance(json.dumps(option_names(settings)), _whole(faults, "faults", 16), _jobs(jobs),
                                                 remedies, line.text))
    line.end()
    return Distance(document)
