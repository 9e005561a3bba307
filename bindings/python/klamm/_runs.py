"""Whole runs, many at a time, each in a process of its own: scenarios, storms, sweeps over settings, and what is found in them.

Times are seconds of virtual time; `cpu_seconds` are the real ones of the run's process.
"""
import copy
import html
import itertools
import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Union

from . import _klamm, _words
from ._errors import Refused

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

Seeds = Union[int, Iterable[int]]
_SECOND = 1_000_000_000
_WORST = ("crash", "safety", "liveness", "harness")


class Report(str):
    """Text for a person; a notebook shows it as it stands."""

    def _repr_html_(self):
        return f"<pre>{html.escape(self)}</pre>"


def _seconds(nanoseconds):
    return None if nanoseconds is None else nanoseconds / _SECOND


class Run:
    """One run and what came of it: seed, profile, verdict ("passed", …), sentence, token (what `klamm replay` takes; None where
    no token tells of it), hash, findings, counts, lost (records by rule), and `settings` of a sweep."""

    def __init__(self, source, document, settings=None, has_token=True):
        self._source, self.document, self.settings = source, document, dict(settings or {})
        self.seed, self.profile = document["seed"], document["profile"]
        self.verdict, self.sentence, self.hash = document["verdict"], document["sentence"], document["hash"]
        self.findings, self.counts, self.lost = document["findings"], document["counts"], document["lost"]
        self.token = document["token"] if has_token else None

    @property
    def red(self) -> bool:
        """A broken promise, a cluster that did not come to rest, or a crash."""
        return bool(self.findings)

    def row(self) -> Dict[str, Any]:
        """The run as one row of Runs.frame()."""
        d = self.document
        first = _seconds(d["first_violation_ns"])
        row = {"seed": self.seed, **self.settings, "profile": self.profile, "verdict": self.verdict, "red": self.red,
               "sentence": self.sentence, "promised": d["promised"], "lost": sum(d["lost"].values())}
        row.update({f"lost_{rule}": n for rule, n in d["lost"].items()})
        row.update(avoidable=sum(d["avoidable"].values()), unavailable_seconds=_seconds(d["unavailable_ns"]),
                   first_violation_seconds=float("nan") if first is None else first, virtual_seconds=_seconds(d["virtual_ns"]),
                   events=d["events"], faults_fired=sum(d["fired"].values()))
        row.update(self.counts)
        row.update(cpu_seconds=_seconds(d["cpu_ns"]), hash=self.hash, token=self.token)
        return row

    def _output(self, what):
        return _klamm.output_of(json.dumps(self._source), what)

    def report(self) -> Report:
        """Runs it again and gives its report: the cluster, the faults, the counts, the bill, what is red and what came before."""
        return Report(self._output("report"))

    def history(self) -> "pandas.DataFrame":
        """Runs it again; the clients' history as a DataFrame, an event a row (checkers/FORMAT.md)."""
        return _frame(self._output("history"))

    def history_lines(self) -> str:
        """The same as JSON lines."""
        return self._output("history")

    def trace(self) -> "pandas.DataFrame":
        """Runs it again; every event, fact, fault and physical truth as a DataFrame. Large: a row an event."""
        return _frame(self._output("trace"))

    def shrink(self, replays: int = 300, progress: Optional[bool] = None) -> "Shrunk":
        """Looks for a run that fails in the same way with few faults and few operations; at most `replays` runs are made."""
        line = _Progress("shrinking", progress)
        document = json.loads(_klamm.shrink_run(json.dumps(self._source), replays, line.text))
        line.end()
        return Shrunk(document, self)

    def export(self, **paths: Union[str, "os.PathLike[str]"]) -> None:
        """Runs it again and writes what a run may leave behind: export(html="run.html", pcap="run.pcapng", trace="trace.jsonl",
        history="history.jsonl", disks="disks"), the last one a directory of the machines' files."""
        if not paths:
            raise Refused("export: expected what to write, such as html=\"run.html\"")
        _klamm.export_run(json.dumps(self._source), {what: str(path) for what, path in paths.items()})

    def __repr__(self):
        return f"<Run seed {self.seed:x} {self.profile}: {self.sentence}>"


class Shrunk:
    """What shrinking came to: `run`, `faults`, `operations`, `replays`, `reproduced` (false: the run was not red), and
    `one_minimal` (without any one of its faults the run passes)."""

    def __init__(self, document, original):
        self.document, self.original = document, original
        self.run = Run(document["source"], document["run"], original.settings, original.token is not None)
        self.faults, self.operations = document["faults"], document["operations"]
        self.reproduced, self.one_minimal, self.replays = (document["reproduced"], document["one_minimal"],
                                                           document["replays"])

    def report(self) -> Report:
        """The remaining faults and operations as a timeline, and the sentence."""
        return Report(self.document["text"])

    def __repr__(self):
        return (f"<Shrunk to {len(self.faults)} faults of {self.document['faults_before']} and {len(self.operations)} "
                f"operations of {self.document['operations_before']}>")

    def _repr_html_(self):
        return self.report()._repr_html_()


class Runs(list):
    """Runs in the order of their seeds. `interrupted`: Ctrl-C came, and these are those that had ended."""

    interrupted = False

    def frame(self) -> "pandas.DataFrame":
        """A DataFrame, a row a run: verdict, bill by rule, times, counts."""
        import pandas
        return pandas.DataFrame([run.row() for run in self])

    @property
    def red(self) -> "Runs":
        """Those that are red."""
        return Runs(run for run in self if run.red)

    def worst(self) -> Run:
        """The run to look at first: crashes before broken promises before clusters that did not come to rest before harness
        errors; then who lost most, then who was unavailable longest, then the lowest seed."""
        if not self:
            raise Refused("there is no run")

        def badness(run):
            place = next((len(_WORST) - i for i, word in enumerate(_WORST) if run.verdict.startswith(word)), 0)
            return place, sum(run.lost.values()), run.document["unavailable_ns"], -run.seed
        return max(self, key=badness)

    def _repr_html_(self):
        return self.frame()._repr_html_()


def _frame(lines):
    import pandas
    return pandas.DataFrame([json.loads(line) for line in lines.splitlines()])


class _Progress:
    """A line that tells how far it is: on a terminal, or in a notebook; elsewhere nothing."""

    def __init__(self, what, wanted):
        self.what, self.began, self.shown, self.display = what, time.monotonic(), 0.0, None
        self.wanted = sys.stderr.isatty() if wanted is None else wanted
        if self.wanted and not sys.stderr.isatty() and "ipykernel" in sys.modules:
            from IPython.display import display
            self.display = display({"text/plain": ""}, raw=True, display_id=True)

    def text(self, text, last=False):
        now = time.monotonic()
        if not self.wanted or (not last and now - self.shown < 0.2):
            return
        self.shown = now
        line = f"{self.what}: {text}, {now - self.began:.0f} s"
        if self.display is not None:
            self.display.update({"text/plain": line}, raw=True)
        else:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def runs(self, done, total, red):
        full = 24 * done // max(total, 1)
        self.text(f"[{'#' * full}{'.' * (24 - full)}] {done} of {total} runs, {red} red", done == total)

    def end(self):
        if self.wanted and self.display is None and self.shown:
            sys.stderr.write("\n")


def _run(jobs_of, total, jobs, progress, what):
    """Runs (source, seeds, settings, has_token) rows, one row after the other; keeps what was found at Ctrl-C."""
    line, done, red = _Progress(what, progress), 0, 0
    all_runs = Runs()
    for source, seeds, settings, has_token in jobs_of:
        found = {}

        def take(index, text, source=source, seeds=seeds, settings=settings, has_token=has_token, found=found):
            nonlocal done, red
            run = Run({**source, "seed": seeds[index]}, json.loads(text), settings, has_token)
            found[index] = run
            done, red = done + 1, red + run.red
            line.runs(done, total, red)
        try:
            _klamm.run_seeds(json.dumps(source), seeds, jobs, take)
        except KeyboardInterrupt:
            all_runs.interrupted = True
        all_runs.extend(found[index] for index in sorted(found))
        if all_runs.interrupted:
            break
    line.end()
    return all_runs


def _seeds(seeds):
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise Refused(f"seeds: expected whole numbers from 0, found {seed!r}")
    return seeds


def _jobs(jobs):
    if jobs is None:
        return min(os.cpu_count() or 1, 8)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= 256:
        raise Refused(f"jobs: expected a whole number from 1 to 256, found {jobs!r}")
    return jobs


def storm(seeds: Seeds = range(100), profile: str = "storm", plant: Optional[str] = None, jobs: Optional[int] = None,
          length: Optional[float] = None, off: Iterable[str] = (), progress: Optional[bool] = None) -> Runs:
    """Storms, as `klamm swarm` makes them: cluster, clients and faults are drawn from each seed.

    profile: "calm", "weather", "storm", "power", "disk", … (klamm.catalogue()). plant: the code of a bug. length: seconds until
    the healing; drawn if absent. off: names of faults that do not fall. jobs: processes at a time. Gives Runs."""
    source = {"profile": profile, "plant": plant or "", "off": list(off)}
    if length is not None:
        source["length_ms"] = round(length * 1000)
    seeds = _seeds(seeds)
    return _run([(source, seeds, {}, True)], len(seeds), _jobs(jobs), progress, "storm")


def replay(token: str) -> Run:
    """The run that a token names, made again. Gives a Run."""
    source = {"token": token}
    document = json.loads(_klamm.output_of(json.dumps(source), "trial"))
    return Run(source, document)


class _Then:
    """What comes after scenario.when(…): conditions are added, do() ends it."""

    def __init__(self, scenario, steps):
        self._scenario, self._steps = scenario, steps

    def when(self, moment: Dict[str, Any]) -> "_Then":
        """Then waits for the turn in which this moment comes; nothing of that turn has left the node."""
        self._steps.append({"when": moment})
        return self

    def after(self, moment: Dict[str, Any]) -> "_Then":
        """Then waits until what the turn of this moment sends has left."""
        self._steps.append({"after": moment})
        return self

    def before(self, moment: Dict[str, Any]) -> "_Then":
        """Then acts just before the event that would bring this moment."""
        self._steps.append({"before": moment})
        return self

    def wait(self, seconds: Union[int, float, str]) -> "_Then":
        """Then lets some time pass."""
        self._steps.append({"wait": _words.duration(seconds, "wait")})
        return self

    def do(self, *deeds: Dict[str, Any]) -> "Scenario":
        """Does these deeds (klamm.power_loss("leader"), or objects of scenario files), the first at the moment told, the others
        at once after it. Gives the scenario."""
        if not deeds:
            raise Refused("do: expected at least one deed")
        steps = copy.deepcopy(self._steps)
        steps[-1].update(deeds[0])
        self._scenario._tell(steps + list(deeds[1:]))
        return self._scenario


class Scenario:
    """A scenario: what cluster, what clients, what is done to them and when, and what must hold (scenarios/SCHEMA.md).

    Made by Scenario.load(path) or from a dict. `document` is that dict; when(), before(), after(), at() and do() add to its
    story. Raises Refused with the sentence that `klamm sim` would print."""

    def __init__(self, document, path="(a scenario in Python)", _text=None):
        self.document, self.path = document, path
        self._loaded = _text
        self._text()

    @classmethod
    def load(cls, path: Union[str, "os.PathLike[str]"]) -> "Scenario":
        """Reads a scenario file. Raises Refused, or OSError when it cannot be read."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        _klamm.check_scenario(text, str(path))
        return cls(json.loads(text), str(path), text)

    def _text(self):
        changed = self._loaded is None or json.loads(self._loaded) != self.document
        text = json.dumps(self.document, indent=1) if changed else self._loaded
        _klamm.check_scenario(text, self.path)
        return text, not changed

    def _tell(self, steps):
        before = self.document["story"]
        self.document["story"] = before + steps
        try:
            self._text()
        except Refused:
            self.document["story"] = before
            raise

    @property
    def says(self) -> str:
        """What happens and what must hold, in words."""
        return self.document["says"]

    def when(self, moment: Dict[str, Any]) -> "_Then":
        """Begins a condition: in the turn in which this moment (klamm.on) comes."""
        return _Then(self, []).when(moment)

    def after(self, moment: Dict[str, Any]) -> "_Then":
        """Begins a condition: when what the turn of this moment sends has left."""
        return _Then(self, []).after(moment)

    def before(self, moment: Dict[str, Any]) -> "_Then":
        """Begins a condition: just before the event that would bring this moment."""
        return _Then(self, []).before(moment)

    def at(self, seconds: Union[int, float, str]) -> "_Then":
        """Begins a condition: so long after the start of the run."""
        return _Then(self, [{"at": _words.duration(seconds, "at")}])

    def do(self, *deeds: Dict[str, Any]) -> "Scenario":
        """Adds deeds that happen as soon as the step before is done."""
        self._tell(list(deeds))
        return self

    def with_settings(self, **settings: Any) -> "Scenario":
        """A copy with other settings: topic options (min_insync=1, flush_messages=1; None: the default), `acks` of every
        producer, or brokers, partitions, shards, eligible_leader_replicas, timers of the cluster."""
        document = copy.deepcopy(self.document)
        for key, value in settings.items():
            if key == "acks":
                for producer in document.setdefault("producers", [{}]):
                    producer["acks"] = str(value)
                continue
            owner = "cluster" if key in ("brokers", "controllers", "partitions", "shards", "eligible_leader_replicas",
                                         "timers") else "topic"
            name = key if owner == "cluster" else _words.option_name(key)
            if value is None:
                document.get(owner, {}).pop(name, None)
            else:
                document.setdefault(owner, {})[name] = value
        return Scenario(document, self.path)

    def save(self, path: Union[str, "os.PathLike[str]"]) -> "Scenario":
        """Writes it to a file that `klamm sim` takes, and bears that path from then on."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.document, file, indent=2)
            file.write("\n")
        self.__init__(self.document, str(path), open(path, encoding="utf-8").read())
        return self

    def _source(self, profile, plant):
        text, has_token = self._text()
        return {"scenario": text, "path": self.path, "profile": profile, "plant": plant or ""}, has_token

    def run(self, seeds: Seeds = (1,), profile: str = "calm", plant: Optional[str] = None, jobs: Optional[int] = None,
            progress: Optional[bool] = None) -> Runs:
        """Runs it with each seed in a process of its own. profile "calm": the story alone, and it must do what it expects; any
        other: what the profile draws falls too, and only the contract is demanded. plant: the code of a bug. Ctrl-C keeps
        what was found. Gives Runs."""
        source, has_token = self._source(profile, plant)
        seeds = _seeds(seeds)
        return _run([(source, seeds, {}, has_token)], len(seeds), _jobs(jobs), progress, "scenario")

    def __repr__(self):
        return f"<Scenario {self.path}: {self.says}>"


class Sweep:
    """Runs over a grid of settings. `runs`; frame() has a column a setting."""

    def __init__(self, axes, runs):
        self.axes, self.runs = axes, runs

    def frame(self) -> "pandas.DataFrame":
        """A DataFrame, a row a run."""
        return self.runs.frame()

    def summary(self, *measures: str, confidence: float = 0.95, draws: int = 2_000) -> "pandas.DataFrame":
        """A DataFrame, a row a combination of settings: runs, and for each measure (a column of frame()) its mean and a
        confidence band of the mean, by the bootstrap with a fixed seed: `lost`, `lost_low`, `lost_high`."""
        import pandas
        frame = self.frame()
        for measure in measures:
            if measure not in frame.columns:
                raise Refused(f"there is no measure '{measure}'; a run has {', '.join(frame.columns)}")
        rows = []
        for combination in _combinations(self.axes):
            mask = [run.settings == combination for run in self.runs]
            part = frame[mask]
            row = {**combination, "runs": len(part)}
            for measure in measures:
                low, high = _band(part[measure].astype(float).tolist(), confidence, draws)
                row.update({measure: part[measure].mean(), f"{measure}_low": low, f"{measure}_high": high})
            rows.append(row)
        return pandas.DataFrame(rows)

    def plot(self, *measures: str, confidence: float = 0.95) -> "matplotlib.figure.Figure":
        """A picture: for each measure (default "lost" and "unavailable_seconds") the mean of each combination of settings with
        its confidence band. Gives a matplotlib Figure that a notebook shows."""
        from ._picture import Picture
        measures = measures or ("lost", "unavailable_seconds")
        summary = self.summary(*measures, confidence=confidence)
        labels = ["\n".join(f"{name}={'default' if value is None else value}" for name, value in combination.items())
                  for combination in _combinations(self.axes)]
        figure = Picture(figsize=(max(4.0, 0.7 * len(labels)) * len(measures), 3.2), layout="constrained")
        for at, measure in enumerate(measures):
            axes = figure.add_subplot(1, len(measures), at + 1)
            mean = summary[measure]
            below, above = mean - summary[f"{measure}_low"], summary[f"{measure}_high"] - mean
            axes.bar(range(len(labels)), mean, color="#9db8d9")
            axes.errorbar(range(len(labels)), mean, yerr=[below.clip(lower=0), above.clip(lower=0)], fmt="none",
                          ecolor="#333333", capsize=4)
            axes.set_xticks(range(len(labels)))
            axes.set_xticklabels(labels, fontsize=7)
            axes.set_title(f"{measure.replace('_', ' ')} ({confidence:.0%} band)", fontsize=9)
            axes.set_ylim(bottom=0)
        return figure


def _combinations(axes):
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def _band(values, confidence, draws):
    """Bounds of the mean by the bootstrap; the values themselves where there is one."""
    if not values:
        return float("nan"), float("nan")
    chance, size = random.Random(7), len(values)
    means = sorted(sum(chance.choices(values, k=size)) / size for _ in range(draws))
    edge = (1 - confidence) / 2
    return means[int(edge * (draws - 1))], means[int((1 - edge) * (draws - 1))]


def sweep(scenario: Scenario, seeds: Seeds = range(20), profile: str = "calm", plant: Optional[str] = None,
          jobs: Optional[int] = None, progress: Optional[bool] = None, **axes: List[Any]) -> Sweep:
    """Runs a scenario over a grid of settings, each axis a list: klamm.sweep(scenario, flush_messages=[1, None], min_insync=[1,
    2]). Settings as Scenario.with_settings; the same seeds everywhere. Ctrl-C keeps what was found. Gives a Sweep."""
    if not axes:
        raise Refused("sweep: expected at least one setting, such as min_insync=[1, 2]")
    seeds = _seeds(seeds)
    combinations = _combinations(axes)
    rows = []
    for settings in combinations:
        source, has_token = scenario.with_settings(**settings)._source(profile, plant)
        rows.append((source, seeds, settings, has_token))
    return Sweep(axes, _run(rows, len(seeds) * len(combinations), _jobs(jobs), progress, "sweep"))
