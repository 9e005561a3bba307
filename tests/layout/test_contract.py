"""CONTRACT.md: every scenario it names is there, and every test it names is one that ctest knows.

That it is what `klamm contract` writes is a test of tests/command; that the plants break what they are said to break is
one of tests/scenario.

Usage: test_contract.py SOURCE_DIR BUILD_DIR
"""
import os
import re
import sys

from acceptance import ctest_names
from tree import Findings, read, self_test

ROW = re.compile(r"^\| (\S+) \| `(\w+)` \| (.+) \| \[([^]]+)\]\(([^)]+)\) \| (plant (\w+)|test `([^`]+)`) \|$")


def problems(text, exists, known):
    """One line for each thing that is wrong with the tables of the document."""
    found, rules = [], 0
    for line in text.split("\n"):
        if not line.startswith("| ") or line.startswith("| rule |"):
            continue
        row = ROW.match(line)
        if row is None:
            found.append(f"no row of a rule: {line[:60]}")
            continue
        rules += 1
        if not exists(row.group(5)):
            found.append(f"{row.group(2)}: {row.group(5)} is not there")
        if row.group(8) is not None and row.group(8) not in known:
            found.append(f'{row.group(2)}: no test is named "{row.group(8)}"')
    if rules < 20:
        found.append(f"only {rules} rules")
    return found


def run_self_tests():
    good = "| I2 | `I2` | One leader. | [a/b](scenarios/a/b.json) | plant R1 |\n"
    tested = "| I7 | `I7` | No gap. | [a/b](scenarios/a/b.json) | test `judge: x: y` |\n"
    def wrong(text, there=True, known=("judge: x: y",)):
        return [one for one in problems(text, lambda _: there, known) if not one.startswith("only")]
    self_test("good rows", not wrong(good + tested))
    self_test("a scenario that is gone", wrong(good, there=False))
    self_test("a test that is gone", wrong(tested, known=()))
    self_test("a row that is none", wrong("| I2 | nothing |\n"))
    self_test("too few", problems(good, lambda _: True, ()))


def main(root, build):
    findings = Findings()
    text = read(root, "CONTRACT.md")
    known, _ = ctest_names(build)
    for problem in problems(text or "", lambda path: os.path.exists(os.path.join(root, path)), known):
        findings.add("CONTRACT.md", 0, problem)
    findings.finish("contract", 1)


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1], sys.argv[2])
