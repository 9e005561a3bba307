"""One-line mutants of the core: what they may be, and how they are made. Python's standard library only.

A mutant is one line of one file, changed in one of these ways:

    comparison   < <= > >= == != turned into its neighbour or its opposite
    logic        && and || exchanged, a ! dropped
    off-by-one   + 1 and - 1 left out
    constant     true and false exchanged
    statement    a call or an assignment that is a line of its own left out
    arguments    two neighbouring simple arguments of a call exchanged
    return       an early `if (...) return ...;` left out

Lines that only assert, log or declare are left alone. Which mutants are tried is drawn from a seed by what they are, not by
their number, so that the choice survives edits elsewhere.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ('core/client', 'core/controller', 'core/log', 'core/metadata', 'core/net', 'core/raft', 'core/record', 'core/replica',
           'core/replicated', 'core/group', 'core/server', 'core/storage')

COMPARISONS = {'<=': ('<', '>'), '>=': ('>', '<'), '==': ('!=',), '!=': ('==',), '<': ('<=', '>='), '>': ('>=', '<=')}
SKIPPED = re.compile(r'^\s*(//|#|namespace\b|using\b|template\b|static_assert|case\b|default:|KLAMM_|}|public:|private:)'
                     r'|KLAMM_ASSERT|KLAMM_UNREACHABLE|\.log\(|log_line|digest')
SPACED_COMPARISON = re.compile(r' (<=|>=|==|!=|<|>) ')
STATEMENT = re.compile(r'^\s*(\+\+|--)?[A-Za-z_][\w.\->\[\]:]*(\(.*\)| (=|\+=|-=|\|=|&=) .+|\+\+|--)?;$')
SIMPLE_ARGUMENTS = re.compile(r'(?<=[(\s])([a-z_][\w.]*), ([a-z_][\w.]*)(?=[,)])')
EARLY_RETURN = re.compile(r'^\s*if \(.*\) (return\b.*|continue|break);$')


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int  # from 1
    kind: str
    before: str
    after: str

    def key(self):
        """The same while the line and its change are the same, wherever the line moves to."""
        text = '\0'.join((self.path, self.kind, self.before.strip(), self.after.strip()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self):
        return f'{self.key()} {self.path}:{self.line} {self.kind}\n  - {self.before.strip()}\n  + {self.after.strip()}'


def code_of(line):
    """The line with strings and a trailing comment blanked out, of the same length."""
    blank = re.sub(r'"(\\.|[^"\\])*"', lambda found: '"' + ' ' * (len(found.group()) - 2) + '"', line)
    at = blank.find('//')
    return blank if at < 0 else blank[:at] + ' ' * (len(blank) - at)


def changes(line):
    """Every (kind, changed line) of one line; whether the result compiles is found out by trying."""
    code = code_of(line)
    if SKIPPED.search(code) or not code.strip():
        return

    def with_span(begin, end, text):
        return line[:begin] + text + line[end:]

    for found in SPACED_COMPARISON.finditer(code):
        for other in COMPARISONS[found.group(1)]:
            yield 'comparison', with_span(found.start(1), found.end(1), other)
    for found in re.finditer(r'&&|\|\|', code):
        yield 'logic', with_span(found.start(), found.end(), '||' if found.group() == '&&' else '&&')
    for found in re.finditer(r'(?<=[(\s])!(?=[a-z_(])', code):
        yield 'logic', with_span(found.start(), found.end(), '')
    for found in re.finditer(r' [+-] 1\b(?!\d|\.|_|\')', code):
        yield 'off-by-one', with_span(found.start(), found.end(), '')
    for found in re.finditer(r'\b(true|false)\b', code):
        yield 'constant', with_span(found.start(), found.end(), 'false' if found.group() == 'true' else 'true')
    for found in SIMPLE_ARGUMENTS.finditer(code):
        if found.group(1) != found.group(2):
            yield 'arguments', with_span(found.start(), found.end(), f'{found.group(2)}, {found.group(1)}')
    if EARLY_RETURN.match(code):
        yield 'return', ''
    elif STATEMENT.match(code) and not re.match(r'\s*(return|break|continue)\b', code):
        yield 'statement', ''


def mutants_of(path, text):
    """All mutants of one file. A line that goes on before or after itself yields no dropped statement."""
    lines = text.split('\n')
    for number, line in enumerate(lines, 1):
        before = code_of(lines[number - 2]).strip() if number > 1 else ''
        alone = before.endswith((';', '{', '}', ':')) or before == ''
        for kind, after in changes(line):
            if kind in ('statement', 'return') and not alone:
                continue
            yield Mutant(path, number, kind, line, after)


def all_mutants(root, folders=FOLDERS):
    found = {}
    for folder in folders:
        for path in sorted((Path(root) / folder).glob('*.cc')):
            name = path.relative_to(root).as_posix()
            for mutant in mutants_of(name, path.read_text()):
                found.setdefault(mutant.key(), mutant)
    return list(found.values())


def drawn(mutants, seed, count):
    """`count` of them, in an order that the seed and each mutant's own key decide."""
    def place(mutant):
        return hashlib.sha256(f'{seed}:{mutant.key()}'.encode()).digest()
    return sorted(mutants, key=place)[:count]


def apply(root, mutant):
    """Writes the mutant into the tree, and gives the file's text as it was."""
    path = Path(root) / mutant.path
    text = path.read_text()
    lines = text.split('\n')
    assert lines[mutant.line - 1] == mutant.before, f'{mutant.path}:{mutant.line} is not what it was'
    lines[mutant.line - 1] = mutant.after
    path.write_text('\n'.join(lines))
    return text
