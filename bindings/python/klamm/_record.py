"""A workload against a live cluster, recorded and judged."""
import html
import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Union

from . import _klamm, _words
from ._checks import Judgement
from ._errors import Red, Refused
from ._live import Bootstrap, Cluster, _count, _seconds, _servers

if TYPE_CHECKING:
    import os

    import pandas


class Recording:
    """What clients saw of a live cluster, and what the log checker says of it: `topic`, `judgement` (as of klamm.check_log),
    `complaint` (empty, or why it proves less than it should), `read_to_end` (false: nothing is said of losses)."""

    def __init__(self, document, lines):
        self._lines = lines
        self.topic, self.complaint, self.read_to_end = document["topic"], document["complaint"], document["read_to_end"]
        self.idempotent = document["idempotent"]
        self.judgement = Judgement({key: document[key] for key in ("violations", "totals")})

    @property
    def red(self) -> bool:
        """Whether something must not be: a record lost, one that was there twice, an answer that contradicts another."""
        return self.judgement.red

    @property
    def sentence(self) -> str:
        """The first thing that is wrong, or the complaint, or "passed"."""
        if self.red:
            first = self.judgement.violations[0]
            return f"{first['code']}: {first['sentence']}"
        return self.complaint or "passed"

    @property
    def totals(self) -> Dict[str, int]:
        """What happened how often: sends, acknowledged, polls, records_read, stale, …"""
        return self.judgement.totals

    def raise_if_red(self) -> "Recording":
        """Gives the recording itself, or raises Red with its sentence."""
        if self.red:
            raise Red(self.sentence, self)
        return self

    def history(self) -> "pandas.DataFrame":
        """The history as a DataFrame, an event a row (checkers/FORMAT.md); `time` is in nanoseconds since the beginning."""
        import pandas
        return pandas.DataFrame([json.loads(line) for line in self._lines.splitlines()])

    def history_lines(self) -> str:
        """The same as JSON lines, as klamm.check_log and `klamm check` take it."""
        return self._lines

    def save(self, path: Union[str, "os.PathLike[str]"]) -> "Recording":
        """Writes the history to a file for `klamm check`."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._lines)
        return self

    def __repr__(self):
        return f"<Recording of {self.topic}: {self.totals['events']} events, {self.sentence}>"

    def _repr_html_(self):
        return f"<pre>{html.escape(repr(self)[1:-1])}</pre>"


def record(cluster: Union[Cluster, Bootstrap], length: float = 10, *, topic: Optional[str] = None,
           partitions: Optional[int] = None, replication: Optional[int] = None, producers: Optional[List[Dict[str, Any]]] = None,
           consumers: Optional[List[Dict[str, Any]]] = None, workload: Union[Dict[str, Any], str, "os.PathLike[str]", None] = None,
           meanwhile: Optional[Callable[[], Any]] = None, patience: float = 120, **options: Any) -> Recording:
    """Lets clients write to and read from a live cluster for `length` seconds, reads everything back, and judges what they saw;
    what `klamm record` does.

    cluster: of klamm.connect(), or its addresses. topic: made if it is not there, refused if it holds records; without it, one
    of its own, deleted again when nothing is wrong. partitions, replication, options (min_insync=2): of a topic that is made.
    producers, consumers: lists of objects of scenario files ([{"every": "5ms", "acks": "1"}]). workload: a file or dict with
    such keys, a scenario will do. meanwhile: called while the clients work, to do something to the cluster. patience: seconds
    for what is under way in the end, and again for the final reads.

    What acks=all has promised must be there in the end, unless power failed or an election was unclean. Raises Refused,
    ClusterRefused, NotYet when nobody answers, and what `meanwhile` raises."""
    bootstrap = cluster.bootstrap if isinstance(cluster, Cluster) else _servers(cluster)
    if workload is None:
        document = {}
    elif isinstance(workload, dict):
        document = dict(workload)
    else:
        with open(workload, encoding="utf-8") as file:
            document = json.load(file)
    if not 0 < _seconds(length, "length") <= 3600:
        raise Refused(f"length: expected seconds above zero, at most 3600, found {length!r}")
    for key, clients in (("producers", producers), ("consumers", consumers)):
        if clients is not None:
            document[key] = list(clients)
    if partitions is not None:
        document["cluster"] = {**document.get("cluster", {}), "partitions": _count(partitions, "partitions")}
    if options:
        document["topic"] = {**document.get("topic", {}), **_words.option_names(options)}
    recorder = _klamm.Recorder(bootstrap, json.dumps(document), length, topic or "",
                               -1 if replication is None else _count(replication, "replication"),
                               _seconds(patience, "patience"))
    if meanwhile is not None:
        meanwhile()
    answer, lines = recorder.finish()
    return Recording(json.loads(answer), lines)
