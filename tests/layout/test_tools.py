"""The scripts that judge: they parse, are executable, and tests/tools/hashes tells equal runs from different ones.

Usage: test_tools.py SOURCE_DIR BUILD_DIR
"""
import os
import stat
import subprocess
import sys
import tempfile

from tree import Findings, files, read

# Stand-ins for klamm: one whose hash depends on its arguments alone, two that leak the world, one that says nothing.
PROGRAMS = {
    "steady": 'echo "hash $(echo "$@" | md5sum | cut -c1-16)"; exit 3',
    "by_place": 'echo "hash $(echo "$@" "$PWD" | md5sum | cut -c1-16)"',
    "by_zone": 'echo "hash $(echo "$@" "${TZ:-}" | md5sum | cut -c1-16)"',
    "silent": "exit 0",
}


def check_scripts(root, findings):
    count = 0
    for path in files(root, ["tests", ".ci"]):
        text = read(root, path)
        if text is None or not text.startswith("#!"):
            continue
        count += 1
        full = os.path.join(root, path)
        if not os.stat(full).st_mode & stat.S_IXUSR:
            findings.add(path, 1, "has a #! line but is not executable")
        if text.startswith("#!/bin/bash"):
            run = subprocess.run(["bash", "-n", full], stderr=subprocess.PIPE, text=True, check=False)
            if run.returncode:
                findings.add(path, 1, run.stderr.strip())
    return count


def check_hashes(root, findings):
    with tempfile.TemporaryDirectory() as room:
        for name, body in PROGRAMS.items():
            program = os.path.join(room, name)
            with open(program, "w", encoding="utf-8") as handle:
                handle.write(f"#!/bin/bash\n{body}\n")
            os.chmod(program, 0o755)
        for release, sanitizers, equal in (
                ("steady", "steady", True), ("by_place", "by_place", False), ("by_zone", "by_zone", False),
                ("silent", "silent", False), ("steady", "by_place", False), ("steady", "silent", False)):
            command = [os.path.join(root, "tests/tools/hashes"), os.path.join(room, release),
                       os.path.join(room, sanitizers), "7f3a:storm", "8:power"]
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
            expected = "2 hashes equal, 0 differ" if equal else "0 hashes equal, 2 differ"
            if (run.returncode == 0) != equal or not run.stdout.endswith(expected + "\n"):
                findings.add("tests/tools/hashes", 0, f"{release} against {sanitizers}: {run.stdout.strip()!r}")
    return len(PROGRAMS)


def main(root):
    findings = Findings()
    count = check_scripts(root, findings)
    findings.finish("tools", count + check_hashes(root, findings))


if __name__ == "__main__":
    main(sys.argv[1])
