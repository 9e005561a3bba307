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
        found += [f'{number}: no test is named "{name}"' for name in tests.split("; ") if name not in whole(tests, known)]
    if numbers != list(range(1, TRAPS + 1)):
        found.append(f"not 1 to {TRAPS}, each once and in order: {numbers}")
    return found


def whole(tests, known):
    """The known names, and the parts of those of them that have the separator inside and are there as a whole."""
    parts = {part for name in known if "; " in name and name in tests for part in name.split("; ")}
    return known | parts


def run_self_tests():
    good = "".join(f"| {n} | what | a: b; c: d |\n" for n in range(1, TRAPS + 1))
    known = {"a: b", "c: d"}
    self_test("good rows", not problems(good, known))
    self_test("a test that is gone", len(problems(good, {"a: b"})) == TRAPS)
    self_test("a reason", not problems(good.replace("| 3 | what | a: b; c: d |", "| 3 | what | -: not served yet, so |"), known))
    self_test("no reason", problems(good.replace("| 3 | what | a: b; c: d |", "| 3 | what | - |"), known))
    self_test("a row is gone", problems(good.replace("| 3 | what | a: b; c: d |\n", ""), known))
    self_test("a name with a semicolon", not problems(good.replace("a: b; c: d", "x: one; two", 1), known | {"x: one; two"}))


def main(root, build):
    findings = Findings()
    known, _ = ctest_names(build)
    for problem in problems(read(root, "tests/clients/TRAPS.md") or "", known):
        findings.add("tests/clients/TRAPS.md", 0, problem)
    findings.finish("traps", 1)


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1], sys.argv[2])
