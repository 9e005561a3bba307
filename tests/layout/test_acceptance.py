"""Every sentence that is said to hold, even in part, names tests; every named test exists and is not disabled.

Usage: test_acceptance.py SOURCE_DIR BUILD_DIR
"""
import sys

from acceptance import ctest_names, problems, rows
from tree import Findings, self_test


def run_self_tests():
    def row(**changes):
        return {"issue": "2", "section": "A", "sentence": "B.", "tests": ["x"], "state": "holds", **changes}

    known, disabled = {"x", "y"}, {"y"}
    self_test("a good row", not problems([row()], known, disabled))
    self_test("a missing row", not problems([row(state="missing", tests=[])], known, disabled))
    for name, bad in (("no test", row(tests=[])), ("an unknown test", row(tests=["x", "z"])),
                      ("a disabled test", row(tests=["y"])), ("an unknown state", row(state="done")),
                      ("missing with a test", row(state="missing")), ("no sentence", row(sentence="")),
                      ("no issue", row(issue="two"))):
        self_test(name, problems([bad], known, disabled))
    self_test("the same sentence twice", problems([row(), row()], known, disabled))


def main(root, build):
    findings = Findings()
    table = []
    try:
        table = rows(root)
    except ValueError as error:
        findings.add("tests/acceptance.csv", 0, str(error))
    if not table:
        findings.add("tests/acceptance.csv", 0, "has no rows")
    for problem in problems(table, *ctest_names(build)):
        findings.add("tests/acceptance.csv", 0, problem)
    findings.finish("acceptance", len(table))


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1], sys.argv[2])
