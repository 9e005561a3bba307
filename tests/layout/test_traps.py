"""tests/clients/TRAPS.md: traps 1 to 44, each once, each with tests that ctest knows or, after `-:`, why there are none.

Usage: test_traps.py SOURCE_DIR BUILD_DIR
"""
import re
import sys

from acceptance import ctest_names
from tree import Findings, read, self_test

TRAPS = 44
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$")


def problems(text, known):
    """One line for each thing that is wrong with the table."""
    found, numbers = [], []
    for line in text.split("\n"):
        row = ROW.match(line)
        if row is None:
            continue
        number, tests = int(row.group(1)), row.group(3)
        numbers.append(number)
        if tests.startswith("-"):
            if len(tests) < 20 or not tests.startswith("-: "):
                found.append(f"{number}: no reason")
            continue
        found += [f'{number}: no test is named "{name}"' for name in tests.split("; ") if name not in known]
    if numbers != list(range(1, TRAPS + 1)):
        found.append(f"not 1 to {TRAPS}, each once and in order: {numbers}")
    return found


def run_self_tests():
    good = "".join(f"| {n} | what | a: b; c: d |\n" for n in range(1, TRAPS + 1))
    known = {"a: b", "c: d"}
    self_test("good rows", not problems(good, known))
    self_test("a test that is gone", len(problems(good, {"a: b"})) == TRAPS)
    self_test("a reason", not problems(good.replace("| 3 | what | a: b; c: d |", "| 3 | what | -: not served yet, so |"), known))
    self_test("no reason", problems(good.replace("| 3 | what | a: b; c: d |", "| 3 | what | - |"), known))
    self_test("a row is gone", problems(good.replace("| 3 | what | a: b; c: d |\n", ""), known))


def main(root, build):
    findings = Findings()
    known, _ = ctest_names(build)
    for problem in problems(read(root, "tests/clients/TRAPS.md") or "", known):
        findings.add("tests/clients/TRAPS.md", 0, problem)
    findings.finish("traps", 1)


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1], sys.argv[2])
