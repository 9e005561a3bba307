"""Who may include whom, held against every #include of the tree.

What a folder may see is what it names in SEES and what those see. Generated headers count as the folder whose path they
carry. All may include base.

Usage: test_includes.py SOURCE_DIR BUILD_DIR
"""
import os
import re
import sys

from tree import CODE_FOLDERS, Findings, files, line_of, read, self_test

SEES = {
    "core/base": [],
    "core/env": [],
    "core/config": [],
    "core/protocol": [],
    "core/record": [],  # and ERROR_CODES
    "core/log": ["core/record"],
    "core/metadata": ["core/protocol"],
    "core/replicated": ["core/log"],
    "core/storage": ["core/log", "core/record", "core/env", "core/config"],
    "core/net": ["core/protocol", "core/env"],
    "core/runtime": ["core/env"],
    "core/client": ["core/net", "core/config", "core/record"],
    "core/workload": ["core/client"],
    "checkers": [],
    "sim/world": ["core/env"],
    "sim/judge": ["checkers"],
}
CORES = ["core/raft", "core/controller", "core/replica", "core/group", "core/transaction", "core/security"]
for core in CORES:
    SEES[core] = ["core/replicated", "core/log", "core/metadata", "core/record", "core/protocol"]
SEES["core/server"] = CORES + ["core/net", "core/storage", "core/config"]
SEES["sim/run"] = ["sim/world", "sim/judge", "core/workload", "core/server", "core/client", "checkers"]
SEES["sim/scenario"] = ["sim/run"]

SEES["sim/picture"] = ["sim/run"]

# The one part of protocol that records and logs may know: the codes that validation answers with.
ERROR_CODES = re.compile(r"core/protocol/error_codes?\.h$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def folder_of(path):
    """The row of the table that a path belongs to, e.g. core/net; None outside of it."""
    parts = path.split("/")
    if parts[0] in ("core", "sim"):
        return "/".join(parts[:2]) if len(parts) > 2 else None
    return parts[0] if parts[0] in CODE_FOLDERS else None


def closure(folder):
    seen = {folder, "core/base"}
    queue = list(SEES[folder])
    while queue:
        one = queue.pop()
        if one not in seen:
            seen.add(one)
            queue += SEES[one]
    return seen


def problem(path, included):
    """None, or why this file may not include that path."""
    folder, target = folder_of(path), folder_of(included)
    if target is None:
        return f'"{included}": include by the full path from the root'
    if folder in ("tests", "bindings"):
        return f'"{included}": only tests include tests' if target == "tests" and folder != "tests" else None
    if folder not in SEES:
        return f"{folder} has no row in the include table"
    if target in closure(folder):
        return None
    if ERROR_CODES.match(included) and folder in ("core/record", "core/log", "core/storage"):
        return None
    return f'{folder} may not include {target} ("{included}")'


def run_self_tests():
    for path, included in (
            ("core/log/a.cc", "core/storage/b.h"), ("core/net/a.cc", "core/record/b.h"),
            ("core/replica/a.cc", "core/controller/b.h"), ("core/storage/a.cc", "core/protocol/api.h"),
            ("core/record/a.cc", "core/protocol/api.h"), ("checkers/a.cc", "core/log/b.h"),
            ("sim/world/a.cc", "core/server/b.h"), ("sim/judge/a.cc", "sim/world/b.h"),
            ("sim/run/a.cc", "core/runtime/b.h"), ("sim/run/a.cc", "bindings/command/b.h"),
            ("core/runtime/a.cc", "core/server/b.h"), ("core/server/a.cc", "sim/run/b.h"),
            ("core/base/a.cc", "core/env/b.h"), ("core/server/a.cc", "b.h"), ("core/server/a.cc", "tests/b.h"),
            ("core/raft/a.cc", "core/replica/b.h")):
        self_test(f"{path} includes {included}", problem(path, included))
    for path, included in (
            ("core/log/a.cc", "core/record/b.h"), ("core/record/a.cc", "core/protocol/error_code.h"),
            ("core/client/a.cc", "core/protocol/api.h"), ("sim/run/a.cc", "core/replica/b.h"),
            ("bindings/command/a.cc", "core/runtime/b.h"), ("tests/net/a.cc", "sim/world/b.h")):
        self_test(f"{path} may include {included}", problem(path, included) is None)
    self_test("an include is seen", INCLUDE.findall('#include "a/b.h"\n # include <c>') == [('"', "a/b.h"), ("<", "c")])


def main(root, build):
    findings = Findings()
    paths = files(root, CODE_FOLDERS, (".h", ".cc"))
    count = 0
    for path in paths:
        text = read(root, path) or ""
        for match in INCLUDE.finditer(text):
            quote, included = match.groups()
            if quote == "<":
                if folder_of(included):
                    findings.add(path, line_of(text, match.start(2)), "our own headers are included in quotes")
                continue
            count += 1
            why = problem(path, included)
            exists = any(os.path.exists(os.path.join(place, included)) for place in (root, f"{build}/generated"))
            if why is None and not exists:
                why = f'"{included}" does not exist'
            if why:
                findings.add(path, line_of(text, match.start(2)), why)
    findings.finish("includes", count)


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1], sys.argv[2])
