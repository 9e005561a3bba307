"""tests/acceptance.csv: what must hold, sentence by sentence, and the tests that hold it.

Columns: issue, section, sentence (as it was written), tests (names as ctest knows them, separated by ;), state (holds,
partly, missing).
"""
import csv
import json
import os
import subprocess

COLUMNS = ["issue", "section", "sentence", "tests", "state"]
STATES = ("holds", "partly", "missing")


def rows(root):
    """The rows as dictionaries, `tests` as a list. A ValueError says what is wrong with the table itself."""
    with open(os.path.join(root, "tests", "acceptance.csv"), encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle, strict=True)
        if reader.fieldnames != COLUMNS:
            raise ValueError(f"the columns must be {','.join(COLUMNS)}")
        found = list(reader)
    for row in found:
        if None in row or None in row.values():
            raise ValueError(f"a row has not {len(COLUMNS)} columns: {row}")
        row["tests"] = [name.strip() for name in row["tests"].split(";") if name.strip()]
    return found


def problems(table, known, disabled):
    """One line for each thing that is wrong, given the names that ctest knows and those it has disabled."""
    found, seen = [], set()
    for row in table:
        where = f'{row["issue"]} "{row["sentence"][:60]}"'
        if row["state"] not in STATES:
            found.append(f'{where}: state is "{row["state"]}", not one of {", ".join(STATES)}')
        if (row["issue"], row["sentence"]) in seen:
            found.append(f"{where}: there twice")
        seen.add((row["issue"], row["sentence"]))
        if not row["issue"].isdigit() or not row["section"] or not row["sentence"]:
            found.append(f"{where}: issue, section and sentence must be there")
        if row["state"] in ("holds", "partly") and not row["tests"]:
            found.append(f'{where}: is said to be "{row["state"]}" but names no test')
        if row["state"] == "missing" and row["tests"]:
            found.append(f"{where}: is missing, yet names tests")
        for name in row["tests"]:
            if name not in known:
                found.append(f'{where}: no test is named "{name}"')
            elif name in disabled:
                found.append(f'{where}: the test "{name}" is disabled')
    return found


def ctest_names(build):
    """Names of all tests of a build, and of those that are disabled."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    known, disabled = set(), set()
    for test in json.loads(listing.stdout)["tests"]:
        known.add(test["name"])
        for item in test.get("properties", []):
            if item["name"] == "DISABLED" and item["value"]:
                disabled.add(test["name"])
    return known, disabled


def counts(table):
    """{issue: {state: how many}} in the order of issues."""
    result = {}
    for row in sorted(table, key=lambda one: int(one["issue"])):
        result.setdefault(row["issue"], dict.fromkeys(STATES, 0))[row["state"]] += 1
    return result
