"""The shape of the tree: names at the top, folders of core, size and opening of files, formatting.

Usage: test_layout.py SOURCE_DIR BUILD_DIR
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tree import CODE_FOLDERS, Findings, files, is_build_folder, read, self_test

TOP = {
    "core", "sim", "scenarios", "checkers", "bindings", "tests", "notebooks",
    "CMakeLists.txt", "CMakePresets.json", "README.md", "CONTRACT.md", "FORMAT.md", "LICENSE", "pyproject.toml",
    ".ci", ".clang-format", ".clang-tidy", ".gitignore", ".gitattributes",
}
CORE = {
    "base", "env", "config", "protocol", "record", "log", "metadata", "replicated", "storage", "raft", "controller",
    "replica", "group", "transaction", "security", "net", "server", "client", "workload", "runtime",
}
SIM = {"world", "judge", "run", "scenario", "picture"}
LINES_MAX = 500


def opening_problem(path, text):
    """None, or why the first lines of the file do not say what it is. A .cc whose first line includes the header of its
    own name may leave that to the header."""
    lines = text.split("\n")
    if path.endswith(".cc") and lines[0] == f'#include "{path[:-3]}.h"':
        return None
    if path.endswith((".h", ".cc")):
        if path.endswith(".h"):
            if lines[0] != "#pragma once":
                return "a header opens with #pragma once"
            lines = lines[1:]
        while lines and not lines[0].strip():
            lines = lines[1:]
        if not lines or not re.match(r"//\s*\w", lines[0]):
            return "a file opens with a comment of what it is"
        return None
    if lines[0].startswith("#!"):
        lines = lines[1:]
    if not lines or not re.match(r'#\s*\w|"""\w', lines[0]):
        return "a script opens with a comment of what it is"
    return None


def cut_names(text):
    """Names of Catch2 cases that ctest would cut: it splits them at semicolons, and neither half is a case."""
    for found in re.finditer(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)', text):
        if ";" in found.group(1):
            yield text.count("\n", 0, found.start()) + 1


def format_problems(root, paths):
    """Files that clang-format would change, or None when there is no clang-format-16."""
    tool = shutil.which("clang-format-16")
    if tool is None:
        return None
    wrong = []
    for start in range(0, len(paths), 40):
        some = paths[start:start + 40]
        run = subprocess.run([tool, "--dry-run", "--ferror-limit=0", "--style=file"] + some, cwd=root,
                             stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            return [f"clang-format-16 failed: {run.stderr.strip()[:300]}"]
        wrong += re.findall(r"^(\S+?:\d+):\d+: (?:warning|error):", run.stderr, re.M)
    return sorted(set(wrong))


def run_self_tests():
    case = "TEST_" + 'CASE("one%s two")'
    assert list(cut_names(case % ";")) == [1] and not list(cut_names(case % ","))
    self_test("header without pragma", opening_problem("a.h", "// What.\n#pragma once\n"))
    self_test("header without comment", opening_problem("a.h", "#pragma once\n#include <a>\n"))
    self_test("good header", opening_problem("a.h", "#pragma once\n// What.\n") is None)
    self_test("source without comment", opening_problem("a.cc", "#include <a.h>\n"))
    self_test("source with its own header", opening_problem("a/b.cc", '#include "a/b.h"\n') is None)
    self_test("source with another header", opening_problem("a/b.cc", '#include "a/c.h"\n'))
    self_test("script without comment", opening_problem("a.py", "#!/usr/bin/python3\nimport os\n"))
    self_test("good script", opening_problem("a.py", '"""What."""\n') is None)
    if shutil.which("clang-format-16"):
        with tempfile.TemporaryDirectory() as room:
            with open(os.path.join(room, "a.cc"), "w", encoding="utf-8") as handle:
                handle.write("int  a ;\n")
            self_test("bad formatting", format_problems(room, ["a.cc"]))


def main(root):
    findings = Findings()
    for name in sorted(os.listdir(root)):
        if not is_build_folder(name) and name not in TOP:
            findings.add(name, 0, "this name is not allowed at the top of the tree")
    for folder, allowed in (("core", CORE), ("sim", SIM)):
        if not os.path.isdir(os.path.join(root, folder)):
            continue
        for name in sorted(os.listdir(os.path.join(root, folder))):
            if os.path.isdir(os.path.join(root, folder, name)) and name not in allowed and not is_build_folder(name):
                findings.add(f"{folder}/{name}", 0, f"{folder} has no folder of this name")

    sources = files(root, CODE_FOLDERS, (".h", ".cc"))
    scripts = files(root, CODE_FOLDERS + (".ci",), (".py", ".sh"))
    for path in sources + scripts:
        text = read(root, path)
        if text is None:
            findings.add(path, 0, "not UTF-8 text")
            continue
        problem = opening_problem(path, text)
        if problem:
            findings.add(path, 1, problem)
        for line in cut_names(text):
            findings.add(path, line, "the name of a case has no semicolon: ctest would not run it")
        count = len(text.splitlines())
        if count > LINES_MAX:
            findings.add(path, 0, f"{count} lines; the limit is {LINES_MAX}")

    unformatted = format_problems(root, sources)
    if unformatted is None:
        print("SKIPPED: formatting is not checked, clang-format-16 is not installed")
        if os.environ.get("KLAMM_CI"):
            findings.add("clang-format-16", 0, "must be installed where CI runs")
    for place in unformatted or []:
        findings.add(place, 0, "clang-format-16 would change this")
    findings.finish("layout", len(sources) + len(scripts))


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1])
