"""What a world tells: facts, the bill, the verdict."""
import html
import json
from typing import TYPE_CHECKING, Dict

from ._errors import Red

if TYPE_CHECKING:
    import pandas

_SECOND = 1_000_000_000


class Fact(dict):
    """What a node stated: `fact.kind`, `fact.time` (seconds), `fact.node`, and the fact's own fields, as items or attributes
    (core/base/facts.h)."""

    def __init__(self, line):
        fields = json.loads(line)
        super().__init__(kind=fields.pop("fact"), time=fields.pop("time") / _SECOND, **fields)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a {self['kind']} has no '{name}'") from None


class Bill(dict):
    """What was promised, in records, and what became of it (CONTRACT.md): `bill.promised`, `bill.lost`, by_rule(), losses(), and
    as items `records_weak`, `records_ended`, `records_stranded`, `rules`."""

    @property
    def promised(self) -> int:
        """Records that were promised with acks=all, or by being read."""
        return self["records_promised"]

    @property
    def lost(self) -> int:
        """Records that were lost, by whatever rule."""
        return sum(self.by_rule().values())

    def by_rule(self) -> Dict[str, int]:
        """Records lost, by rule: O1 weak promise, O2 unclean election, O3 last known leader, O4 sole member damaged, O5
        forbidden."""
        return {rule: row["lost"] for rule, row in self["rules"].items()}

    def losses(self) -> "pandas.DataFrame":
        """Every loss with its evidence, as a DataFrame: when and by whom it was promised, when it was lost, who led then, by
        which election, and which fault made it so."""
        import pandas
        return pandas.DataFrame(self["losses"])


class Verdict:
    """What the judge says of a world that is over. `name` is "passed", "safety violation" and so on as the command line prints
    it; `red` is true for a broken promise, a cluster that did not come to rest, or a crash."""

    def __init__(self, document, findings):
        self.document = document
        self.name = document["verdict"]
        self.text = document["text"]
        self.hash = document["hash"]
        self.bill = Bill(document["bill"])
        self.counts = document["counts"]
        self.violations = document["violations"]
        self.liveness_failures = document["liveness_failures"]
        self.excuse = document["excuse"]
        self.complaint = document["complaint"]
        self.findings = findings  # of checkers in Python

    @property
    def red(self) -> bool:
        """A broken promise, a cluster that did not come to rest, a crash, or what a checker in Python reported."""
        return bool(self.findings or self.violations or self.liveness_failures or "crash" in self.document)

    @property
    def passed(self) -> bool:
        """Nothing is red, and enough happened to prove something."""
        return self.name == "passed" and not self.findings

    @property
    def sentence(self) -> str:
        """The first thing that was found, or the complaint of a world that proves nothing, or "passed"."""
        if self.violations:
            return f"{self.violations[0]['rule']}: {self.violations[0]['sentence']}"
        if self.findings:
            return self.findings[0]
        if self.liveness_failures:
            return self.liveness_failures[0]
        return self.complaint or self.name

    def raise_if_red(self) -> "Verdict":
        """Gives the verdict itself, or raises Red with its sentence."""
        if self.red:
            raise Red(self.sentence, self)
        return self

    def timeline(self) -> "pandas.DataFrame":
        """What happened before the first violation, as a DataFrame: seconds, node, text."""
        import pandas
        rows = [(one["time_ns"] / _SECOND, one["node"], one["text"]) for one in self.document["timeline"]]
        return pandas.DataFrame(rows, columns=["seconds", "node", "text"])

    def __repr__(self):
        return f"<Verdict {self.name}: {self.sentence}>" if self.sentence != self.name else f"<Verdict {self.name}>"

    def _repr_html_(self):
        return f"<pre>{html.escape(self.text)}</pre>"
