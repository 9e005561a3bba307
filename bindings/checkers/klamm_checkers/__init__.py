"""Klamm's checkers alone: histories of anybody's cluster in, verdicts out.

    import klamm_checkers
    judgement = klamm_checkers.check(open("history.jsonl").read())
    if judgement.red: print(judgement)

A history is text (JSON lines, Jepsen's EDN), bytes (the binary form) or an iterable of dicts, one an event; checkers/FORMAT.md
says how they lie. What kind it is, it says itself; only named objects need their model.
"""
import ctypes
import json
import pathlib

__all__ = ["check", "Judgement", "NotAHistory"]

_library = ctypes.CDLL(str(pathlib.Path(__file__).parent.absolute() / "_checkers.so"))
_library.klamm_checkers_judge.restype = ctypes.c_void_p
_library.klamm_checkers_judge.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
_library.klamm_checkers_free.argtypes = [ctypes.c_void_p]


class NotAHistory(ValueError):
    """The text is no history, or an option names nothing; says where and what was expected."""


class Judgement(dict):
    """What was found: "kind", "violations" (each with "name", "sentence", "lawful" and "drawing"), "totals"; of transactions
    "ruled_out", the weakest isolations that the history rules out; of named objects "decided"."""

    @property
    def red(self) -> bool:
        """Whether something must not be. False, too, where nothing was decided."""
        return self["red"]

    @property
    def violations(self) -> list:
        """What is found, lawful things among it, each a dict."""
        return self["violations"]

    @property
    def names(self) -> list:
        """The names of what must not be, each once, sorted."""
        return sorted({one["name"] for one in self.violations if not one["lawful"]})

    def __str__(self):
        lines = []
        for one in self.violations:
            lines.append(f"{one['name']}{' (lawful)' if one['lawful'] else ''}: {one['sentence']}")
            if one["drawing"]:
                lines += ["", one["drawing"].rstrip("\n"), ""]
        return "\n".join(lines) or "nothing is wrong"


def check(history, *, model: str | None = None, isolation: str | None = None, strict: bool = False, idempotent: bool = True,
          read_committed: bool = True, compacted: bool = False) -> Judgement:
    """Judges a history.

    model: "register", "kv", "queue" or "set" for operations on named objects, which are held to linearizability; else none.
    isolation: what transactions over lists were promised, "serializable", "strong-session-snapshot-isolation", "kafka" and so
    on; strict serializability unless it is given. strict: stale reads of logs are errors. idempotent: one record at two offsets
    is an error. read_committed, compacted: of Jepsen's Kafka workload. Raises NotAHistory.
    """
    if not isinstance(history, (str, bytes)):
        history = "".join(json.dumps(one) + "\n" for one in history)
    text = history.encode() if isinstance(history, str) else history
    choices = {"model": model, "isolation": isolation, "strict": strict, "not_idempotent": not idempotent,
               "read_uncommitted": not read_committed, "compacted": compacted}
    lines = "".join(f"{name}={value}\n" for name, value in choices.items() if value)
    answer = _library.klamm_checkers_judge(text, len(text), lines.encode())
    if not answer:
        raise MemoryError("no room for the judgement")
    try:
        judgement = json.loads(ctypes.string_at(answer))
    finally:
        _library.klamm_checkers_free(answer)
    if "error" in judgement:
        raise NotAHistory(judgement["error"])
    return Judgement(judgement)
