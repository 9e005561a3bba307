"""What one replica of a partition truly holds, for tests/tools/recompute_bill: a list of batches, each GOOD, BAD or, for
those written in the turn of a kill, DOUBTFUL until the log is opened again.
"""
import collections

GOOD, BAD, DOUBTFUL = "good", "bad", "doubtful"


class Batch:
    """Known by (epoch, base, last, crc)."""

    def __init__(self, key):
        self.key = key
        self.epoch, self.base, self.last, self.crc = key
        self.promise = None  # "acks=1", "acks=all", "consumer"
        self.state = None  # "live", "lost", "ended"
        self.promised = self.promised_by = None
        self.stranded = False

    records = property(lambda self: self.last - self.base + 1)
    live = property(lambda self: self.state == "live")
    strong = property(lambda self: self.promise in ("acks=all", "consumer"))


class Held:
    def __init__(self, batch, fact):
        self.batch, self.health = batch, GOOD
        self.base, self.last = batch.base, batch.last
        self.segment, self.position, self.size = fact["segment_base"], fact["position"], fact["size"]
        self.appended = fact["time"]

    def copy(self):
        other = Held.__new__(Held)
        other.__dict__.update(self.__dict__)
        return other


Damaged = collections.namedtuple("Damaged", "start end kind time fault")


class Replica:
    def __init__(self, node):
        self.node = node
        self.log, self.ghosts, self.damaged = [], [], []
        self.start = self.end = self.flushed = 0
        self.ended = self.unproven = False
        self.fault, self.fault_time = -1, 0

    def at(self, offset):
        low, high = 0, len(self.log)
        while low < high:
            middle = (low + high) // 2
            if self.log[middle].last < offset:
                low = middle + 1
            else:
                high = middle
        return self.log[low] if low < len(self.log) and self.log[low].base <= offset else None

    def holds(self, batch):
        held = self.at(batch.base)
        return held if held is not None and held.batch is batch else None

    def good(self, batch):
        held = self.holds(batch)
        return held is not None and held.health == GOOD

    def damage_at(self, offset):
        for one in reversed(self.damaged):
            if one.start <= offset < one.end:
                return one
        return None

    def rotten(self, batch):
        damage = self.damage_at(batch.base)
        return self.holds(batch) is not None and damage is not None and damage.kind == "rot"

    def put(self, held):
        self.log.append(held)
        self.end = held.last + 1

    def cut(self, end, may_return):
        """The log ends at `end`; gives what left it, first to last."""
        gone = []
        while self.log and self.log[-1].last >= end:
            gone.append(self.log.pop())
        if may_return:
            self.ghosts += [one for one in gone if one.health == GOOD]
        if self.log:
            self.end = self.log[-1].last + 1
        else:
            self.end, self.start = max(self.start, end), end
        self.flushed = min(self.flushed, end)
        return gone[::-1]

    def erase_all(self, fault, now):
        if self.log:
            self.damaged.append(Damaged(self.log[0].base, self.end, "wipe", now, fault))
        self.log, self.ghosts = [], []
        self.fault, self.fault_time = fault, now
        self.start = self.end = self.flushed = 0

    def doubt(self, now):
        for held in reversed(self.log):
            if held.appended != now:
                break
            if held.health != BAD:
                held.health = DOUBTFUL

    def extend_to(self, end):
        for ghost in self.ghosts[::-1]:
            if self.end < end and ghost.base == self.end and ghost.last < end:
                self.put(ghost.copy())

    def hurt(self, damage, kind, fault, now):
        """What the bytes of one file cost: damage below the synced length costs the batches it hits; at or above it,
        every batch from there up."""
        self.fault, self.fault_time = fault, now
        ranges = [tuple(one) for one in damage["ranges"]]
        if damage["after"] < damage["before"]:
            ranges.append((damage["after"], damage["before"]))
        ranges = [(low, high) for low, high in ranges if low < high]
        above = [max(low, damage["synced"]) for low, high in ranges if high > damage["synced"]]
        hit = []
        for held in self.log:
            if held.segment < damage["segment_base"] or held.last < damage["segment_base"]:
                continue
            end = held.position + held.size
            if held.segment > damage["segment_base"]:
                touched = bool(above)
            else:
                touched = (above and end > min(above)) or any(
                    low < end and held.position < high for low, high in ranges)
            if touched and held.health != BAD:
                held.health = BAD
                hit.append(held)
        if kind == "rot":
            self.damaged += [Damaged(one.base, one.last + 1, kind, now, fault) for one in hit]
        elif hit:
            low, high = min(one.base for one in hit), max(one.last for one in hit) + 1
            self.damaged.append(Damaged(low, high, kind, now, fault))
