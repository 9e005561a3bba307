"""The rules of CONTRACT.md over one partition, for tests/tools/recompute_bill: promises, strandings, erasures and
overrides, asked of every promised batch anew.
"""
import collections

from bill_replica import GOOD, Replica

CONFIGURATION = 11  # of PartitionChangeCause
Election = collections.namedtuple("Election", "epoch time leader kind offset isr_before isr_after elr min_isr")


class Partition:
    def __init__(self, number, bill):
        self.number, self.bill = number, bill
        self.replicas, self.batches = {}, {}
        self.committed, self.candidates = None, []
        self.elections, self.departures = {}, []
        self.led = {}  # epoch: (leader, start, its log then: first offset and the batches)
        self.epoch, self.leader = -1, None

    def replica(self, node):
        return self.replicas.setdefault(node, Replica(node))

    durable = property(lambda self: self.committed is not None and self.committed["flush_messages"] == 1)

    def promised(self):
        return sorted((one for one in self.batches.values() if one.live), key=lambda one: (one.base, one.epoch))

    def good(self, batch):
        return {one.node for one in self.replicas.values() if one.good(batch)}

    def kept(self, batch):
        """GOOD, or DUR where a flush is promised."""
        return {one for one in self.good(batch) if not self.durable or batch.last < self.replicas[one].flushed}

    def served(self, batch):
        return bool(self.kept(batch) & set(self.candidates))

    # Promises.

    def promise(self, batch, kind, now, node):
        if batch.state in ("ended", "lost"):
            return
        if batch.live:
            if not batch.strong and kind != "acks=1":
                batch.promise = kind
            return
        batch.state, batch.promise, batch.promised, batch.promised_by = "live", kind, now, node
        self.judge_birth(batch, now, node)

    def came_with(self, epoch, batch):
        _, start, first, held = self.led[epoch]
        return batch.last < start and (batch.base < first or (batch.epoch, batch.base) in held)

    def judge_birth(self, batch, now, node):
        if self.epoch > batch.epoch:
            leader = self.replica(self.leader)
            damage = leader.damage_at(batch.base)
            held = self.replica(node).at(batch.base)
            damaged = damage is not None and (held is None or damage.time >= held.appended)
            without = [one for one in sorted(self.led) if one > batch.epoch and not self.came_with(one, batch)]
            if not leader.good(batch) and (without or not damaged) and not leader.rotten(batch):
                epoch = without[0] if without else self.epoch
                decided = self.replica(self.led[epoch][0]) if without else leader
                start = self.led[epoch][1] if without else leader.end
                self.lose(batch, self.elections.get(epoch), decided, start, now)
                return
        if not batch.strong or self.committed is None or self.served(batch):
            return
        batch.stranded = True
        if self.departure_lawful(batch, []) and not self.durable:
            return
        if any(self.has_rot(node, batch) for node in self.candidates):
            return
        if any(one.epoch > batch.epoch and one.kind == "unclean" for one in self.elections.values()):
            return
        self.bill["forbidden_events"] += 1

    def has_rot(self, node, batch):
        damage = self.replica(node).damage_at(batch.base)
        return damage is not None and damage.kind == "rot"

    # Stranding.

    def departure_lawful(self, batch, before):
        if self.committed["cause"] == CONFIGURATION:
            return True
        election = self.elections.get(self.committed["leader_epoch"])
        if election is not None and election.kind != "clean" and batch.epoch < election.epoch:
            return True
        good = self.good(batch)
        if any(node not in good and self.replica(node).damage_at(batch.base) for node in self.candidates):
            return True
        left = [node for node in before if node not in self.candidates and node in good]
        return bool(left) and all(self.replica(node).unproven for node in left)

    def strand(self, lawful):
        """`lawful`: of a batch, whether it may be stranded now."""
        red = False
        for batch in self.promised():
            if not batch.strong:
                continue
            stranded = not self.served(batch)
            red = red or (stranded and not batch.stranded and not lawful(batch))
            batch.stranded = stranded
        self.bill["forbidden_events"] += red

    def removed(self, replica, gone):
        red = False
        live = [one for one in gone if one.batch.live]
        for one in live:
            lawful = replica.node not in self.candidates and self.served(one.batch)
            red = red or (one.health == GOOD and not lawful)
        if live:
            self.strand(lambda _: True)
        self.bill["forbidden_events"] += red

    # Override.

    def lead(self, fact, now, node):
        leader, epoch = self.replica(node), fact["epoch"]
        first = leader.log[0].base if leader.log else 0
        log = frozenset((one.batch.epoch, one.base) for one in leader.log)
        # With nothing in its log, it came without everything, whatever its start.
        self.led.setdefault(epoch, (node, fact["start"], first if leader.log else float("inf"), log))
        if epoch <= self.epoch:
            return
        self.epoch, self.leader = epoch, node
        for batch in self.promised():
            if batch.epoch < epoch and not leader.good(batch) and not leader.rotten(batch):
                self.lose(batch, self.elections.get(epoch), leader, fact["start"], now)
        leader.unproven = False

    def had_then(self, batch, election):
        elected = self.replicas.get(election.leader)
        if elected is None:
            return False
        if elected.good(batch):
            return True
        damage = elected.damage_at(batch.base)
        if damage is None or damage.time < election.time:
            return False
        return not (self.durable and damage.kind in ("power", "kill"))

    def rule_of(self, batch, election, leader, start):
        if not batch.strong:
            return "O1"
        if election is None:
            return "O5"
        if election.kind == "unclean":
            other = leader.at(batch.base)
            return "O2" if batch.last >= start or (other is not None and other.health == GOOD) else "O5"
        decided = election
        for epoch in sorted(self.elections):
            one = self.elections[epoch]
            given_up = batch.epoch < epoch < election.epoch and one.kind != "clean" and epoch not in self.led
            if given_up and not self.had_then(batch, one):
                if one.kind == "unclean":
                    return "O2"
                decided = one
        damages = [one.damage_at(batch.base) for one in self.replicas.values()]
        if self.durable and not any(one is not None and one.kind in ("rot", "wipe") for one in damages):
            return "O5"
        if decided.kind == "last_known":
            left = [lawful for time, lawful in self.departures if batch.promised <= time <= decided.time]
            return "O3" if all(left) else "O5"
        sole = election.isr_before == [leader.node] or (not election.isr_before and election.isr_after == [leader.node])
        short = leader.at(batch.base) is None and leader.damage_at(batch.base) is not None
        return "O4" if sole and short and (not election.elr or election.min_isr <= 1) else "O5"

    def lose(self, batch, election, leader, start, now):
        rule = self.rule_of(batch, election, leader, start)
        avoidable = rule in ("O2", "O3", "O4") and bool(self.good(batch))
        hit = [one for one in self.replicas.values() if 0 < one.fault_time <= now]
        latest = max(hit, key=lambda one: (one.fault_time, -one.node), default=None)
        fault = (-1, 0, -1) if latest is None else (latest.fault, latest.fault_time, latest.node)
        damage = leader.damage_at(batch.base)
        if damage is not None:
            fault = (damage.fault, damage.time, leader.node)
        batch.state, batch.stranded = "lost", False
        self.bill["losses"].append(dict(
            partition=self.number, epoch=batch.epoch, base_offset=batch.base, last_offset=batch.last, crc=batch.crc,
            promise=batch.promise, promised_ns=batch.promised, promised_by=batch.promised_by, rule=rule,
            avoidable=avoidable, lost_ns=now, leader=leader.node, leader_epoch=self.epoch,
            metadata_offset=-1 if election is None else election.offset,
            fault=fault[0], fault_ns=fault[1], fault_node=fault[2]))
        self.bill["forbidden_events"] += rule == "O5"
