"""What the layout tests share: walking the sources, blanking comments and strings, collecting findings.

Nothing here depends on git or on the build; a tree unpacked from an archive is checked the same.
"""
import os
import re
import sys

CODE_FOLDERS = ("core", "sim", "checkers", "bindings", "tests")
SKIPPED = {".git", "build", "__pycache__", ".cache", ".ipynb_checkpoints", ".pytest_cache"}


def is_build_folder(name):
    return name in SKIPPED or name.startswith("build-")


def files(root, folders=None, suffixes=None):
    """Paths relative to root, with forward slashes, in order."""
    found = []
    for folder in folders or ["."]:
        for directory, names, leaves in os.walk(os.path.join(root, folder)):
            names[:] = sorted(name for name in names if not is_build_folder(name))
            for leaf in leaves:
                if suffixes is None or leaf.endswith(tuple(suffixes)):
                    path = os.path.relpath(os.path.join(directory, leaf), root)
                    found.append(path.replace(os.sep, "/"))
    return sorted(found)


def read(root, path):
    """The text of a file, or None when it is not text."""
    with open(os.path.join(root, path), "rb") as handle:
        data = handle.read()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.S)


def blanked(text):
    """C++ with comments and literals blanked, line breaks kept; #include lines keep their path."""
    includes = {}
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if re.match(r"\s*#\s*include\b", line):
            includes[number] = line
            lines[number] = ""

    def blank(match):
        kept = re.sub(r"[^\n]", " ", match.group(0))
        return '""' + kept[2:] if match.group(0)[0] in '"R' else kept

    result = TOKENS.sub(blank, "\n".join(lines)).split("\n")
    for number, line in includes.items():
        result[number] = line
    return "\n".join(result)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Findings:
    """What is wrong, one line each: path:line: sentence."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, sentence):
        self.lines.append(f"{path}:{line}: {sentence}" if line else f"{path}: {sentence}")

    def finish(self, title, counted):
        for line in self.lines:
            print(line)
        print(f"{title}: {counted} checked, {len(self.lines)} wrong")
        sys.exit(1 if self.lines else 0)


def self_test(title, holds):
    """A test that cannot fail is worth nothing: each rule first shows that it catches a bad sample."""
    if not holds:
        print(f"self test: {title}: the rule did not do what it must")
        sys.exit(2)
