"""The checkers, from Python: histories in, verdicts out. A history is JSON lines, a list of dicts, or a DataFrame."""
import json
from typing import Any

from . import _klamm


class Judgement(dict):
    """What a checker found. `red`, `violations` (of the log checker), `linearizable`, `sentence`, `picture` (of the others)."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def red(self) -> bool:
        """Whether something must not be."""
        if "violations" in self:
            return bool(self["violations"])
        return self["linearizable"] is False

    def __str__(self):
        if "violations" in self:
            return "\n".join(f"{one['code']}: {one['sentence']}" for one in self["violations"]) or "nothing is wrong"
        return f"{self['sentence']}\n\n{self['picture']}" if self.red else "linearizable"


def _lines(history):
    if isinstance(history, str):
        return history
    if hasattr(history, "to_dict"):
        rows = []
        for row in history.to_dict("records"):
            rows.append({key: int(value) if isinstance(value, float) else value for key, value in row.items()
                         if not (isinstance(value, float) and value != value)})
        history = rows
    return "".join(json.dumps(one) + "\n" for one in history)


def check_log(history: Any, idempotent: bool = True, strict: bool = False) -> Judgement:
    """Judges a history of partition logs (checkers/FORMAT.md): lost and dirty records, gaps, positions that go back and so on.
    idempotent: one value at two offsets is an error. strict: every answer must be as new as what was complete before it began.
    Gives a Judgement. Raises Refused with the line that is no event."""
    return Judgement(json.loads(_klamm.judge_log(_lines(history), idempotent, strict)))


def check_linearizability(history: Any, model: str) -> Judgement:
    """Judges operations on named objects: model "register", "kv", "queue" or "set". Gives a Judgement with a minimal
    counterexample."""
    return Judgement(json.loads(_klamm.judge_operations(_lines(history), model)))
