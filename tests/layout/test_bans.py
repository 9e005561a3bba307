"""What the sources must not contain: other clocks, chance, threads, exceptions, hidden state, unordered iteration,
floating point in decisions, machine paths.

Rules look at text with comments and literals blanked, so they are heuristics on the safe side; each has a bad sample
that it must catch, and a good one that it must let pass.

Usage: test_bans.py SOURCE_DIR BUILD_DIR
"""
import re
import sys

from tree import CODE_FOLDERS, Findings, blanked, files, line_of, read, self_test

# Where a run must be a function of its seed; sim/run forks, keeps budgets and so may look at the real clock.
PURE = r"(?:core/(?!runtime/)|sim/world/|sim/judge/|checkers/)"
CORE = r"core/(?!runtime/)"
DECIDING = r"core/(?:replica|controller|storage|log|metadata|net|server|replicated|raft|group|transaction)/"
ASSERT = "core/base/assert.cc"
QUOTES = "tests/acceptance.csv"  # quotes sentences as they were written

# (name, where, exempt paths, pattern, bad samples, good samples)
RULES = [
    ("threads and locks", PURE, (ASSERT,),
     r"#\s*include\s*<(?:thread|mutex|shared_mutex|atomic|condition_variable|future|semaphore|latch|barrier|stop_token)>"
     r"|\bthread_local\b|\bstd::(?:thread|jthread|mutex|atomic|async)\b",
     ["#include <mutex>\n", "#include <atomic>\n", "thread_local int a;\n", "std::atomic<int> a;\n"],
     ["#include <map>\n", "int thread_count(int a);\n"]),
    ("clocks", PURE, (),
     r"#\s*include\s*<(?:chrono|ctime|time\.h|sys/time\.h)>|\bclock_gettime\b|\bgettimeofday\b|\bstd::chrono\b"
     r"|(?<![\w.>:])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&)",
     ["#include <chrono>\n", "auto a = time(nullptr);\n", "auto a = std::time(0);\n", "clock_gettime(1, &a);\n"],
     ["Instant time(Turn turn);\n", "a.time(0);\n", "uptime(0);\n"]),
    ("chance", PURE, (), r"#\s*include\s*<random>|\bstd::rand\b|(?<![\w.>:])s?rand\s*\(|\brandom_device\b|\bmt19937",
     ["#include <random>\n", "int a = rand();\n", "int a = std::rand();\n"], ["int a = operand(b);\n"]),
    ("the environment", PURE, (), r"\b(?:secure_)?getenv\b|\bsetlocale\b|\benviron\b",
     ["auto a = getenv(b);\n", "auto a = std::getenv(b);\n"], ["int environment = 1;\n"]),
    ("iostreams", PURE, (), r"#\s*include\s*<iostream>|\bstd::(?:cout|cerr|clog)\b", ["#include <iostream>\n", "std::cout;\n"],
     ["#include <sstream>\n"]),
    ("exceptions", CORE, (), r"\bthrow\b|\btry\s*\{|\bcatch\s*\(", ["throw 1;\n", "try { f(); }\n", "catch (...) {}\n"],
     ["int retry = 1;\n", "bool throws;\n"]),
    ("coroutines", CORE, (), r"\bco_(?:await|return|yield)\b", ["co_await f();\n"], ["int co_await_count;\n"]),
    ("static mutable state", r"core/", (),
     r"(?m)\bstatic\s+(?!const\b|constexpr\b|consteval\b|inline\s+const|constinit\s+const|_?assert|cast)[^()=;{}]*(?:;|=|\{)",
     ["static int a = 1;\n", "void f() { static std::vector<int> a; }\n", "static inline int a{};\n"],
     ["static constexpr int a = 1;\n", "static int f(int a) { return a; }\n", "static const int a = 1;\n",
      "static_assert(a == b);\n", "static_cast<int>(a);\n"]),
    ("global mutable state", r"core/", (ASSERT,),
     r"(?m)^(?:inline )?(?!(?:const|constexpr|consteval|using|typedef|return|class|struct|enum|union|namespace|template|friend"
     r"|public|private|protected|extern template|static|goto|case|default|break|continue|throw|co_return|delete)\b)"
     r"[A-Za-z_][\w:]*(?:<[^;(){}]*>)?[ *&]+[A-Za-z_]\w*(?:\s*=[^=][^;]*|\s*\{[^;]*\})?;[ \t]*$",
     ["int counter = 0;\n", "std::vector<int> all;\n", "inline int counter{1};\n", "std::map<int, int> a = {};\n"],
     ["constexpr int a = 1;\n", "using A = int;\n", "    int a = 0;\n", "class A;\n", "enum class A : int;\n",
      "namespace a = b;\n", "int f(int a);\n", "struct A a_of(B b);\n"]),
    ("floating point in decisions", DECIDING, (), r"\b(?:float|double)\b", ["double a;\n", "float a;\n"], ["int doubled;\n"]),
]

# In every text of the tree, README and notebooks included; spelt so that this file does not match itself.
EVERYWHERE = [
    ("a machine's path", re.compile(r"(?<![\w.])/" r"work/(?!flows)|\.\./" r"shared\b|(?<![\w.])/" r"root/"),
     ["see /" + "work/main", "../" + "shared/DESIGN.md", "/" + "root/x"], ["framework/a", "shared/a"]),
    ("TODO now", re.compile(r"TODO\(" r"now\)"), ["// TODO(" + "now): a"], ["// TODO(perf): a"]),
]

UNORDERED = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<")


def unordered_names(text):
    """Names of variables and members that this text declares as hash containers."""
    names = set()
    for match in UNORDERED.finditer(text):
        depth, at = 1, match.end()
        while at < len(text) and depth:
            depth += {"<": 1, ">": -1}.get(text[at], 0)
            at += 1
        name = re.match(r"[\s&*]*([A-Za-z_]\w*)\s*[;={,)]", text[at:])
        if name:
            names.add(name.group(1))
    return names


def unordered_walks(text, names):
    """Positions where one of these names is iterated."""
    for name in sorted(names):
        for pattern in (rf"\bfor\s*\([^;()]*:\s*(?:\w+(?:\.|->))*{name}\s*\)", rf"\b{name}\s*(?:\.|->)\s*c?r?begin\s*\("):
            for match in re.finditer(pattern, text):
                yield match.start()


def run_self_tests():
    for name, _, _, pattern, bad, good in RULES:
        for sample in bad:
            self_test(f"{name}: {sample!r} is caught", re.search(pattern, blanked(sample)))
        for sample in good:
            self_test(f"{name}: {sample!r} passes", re.search(pattern, blanked(sample)) is None)
    for name, pattern, bad, good in EVERYWHERE:
        for sample in bad:
            self_test(f"{name}: {sample!r} is caught", pattern.search(sample))
        for sample in good:
            self_test(f"{name}: {sample!r} passes", pattern.search(sample) is None)
    for walk in ("for (auto& a : rows_) f(a);", "for (auto [k, v] : this->rows_) {}", "auto a = rows_.begin();"):
        text = f"std::unordered_map<int, std::vector<int>> rows_;\n{walk}\n"
        self_test(f"unordered iteration: {walk}", list(unordered_walks(text, unordered_names(text))))
    text = "std::unordered_set<int> rows_; std::map<int, int> others_;\nfor (int a : others_) rows_.find(a);\n"
    self_test("ordered iteration passes", not list(unordered_walks(text, unordered_names(text))))
    self_test("comments and literals are blanked", "throw" not in blanked('// throw\n/* throw */ f("throw");'))
    self_test("code between literals stays", "throw" in blanked("f(\"a\"); throw 'b'; g(\"c\");"))
    self_test("digit separators are no literals", "throw" in blanked("a = 1'000; throw 1; b = 2'000;"))


def check_code(root, findings):
    paths = files(root, CODE_FOLDERS, (".h", ".cc"))
    for path in paths:
        text = blanked(read(root, path) or "")
        for name, where, exempt, pattern, _, _ in RULES:
            if not re.match(where, path) or path in exempt:
                continue
            for match in re.finditer(pattern, text):
                findings.add(path, line_of(text, match.start()), f"{name}: {match.group(0).strip()[:60]}")
        if re.match(PURE, path):
            names = unordered_names(text)
            header = path[:-3] + ".h"
            if path.endswith(".cc") and header in paths:
                names |= unordered_names(blanked(read(root, header) or ""))
            for position in unordered_walks(text, names):
                findings.add(path, line_of(text, position), "iteration of a hash container")
    return len(paths)


def check_everywhere(root, findings):
    paths = files(root)
    for path in paths:
        text = read(root, path)
        if text is None:
            continue
        for name, pattern, _, _ in EVERYWHERE:
            if path == QUOTES:
                continue
            for match in pattern.finditer(text):
                findings.add(path, line_of(text, match.start()), f"{name}: {match.group(0)}")
    return len(paths)


def main(root):
    findings = Findings()
    check_code(root, findings)
    findings.finish("bans", check_everywhere(root, findings))


if __name__ == "__main__":
    run_self_tests()
    main(sys.argv[1])
