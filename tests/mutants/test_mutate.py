"""What can be made of a line, and that a choice of mutants survives edits elsewhere."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
import mutate  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent


def made_of(line):
    return sorted((kind, after.strip()) for kind, after in mutate.changes(line))


class Changes(unittest.TestCase):
    def test_comparisons_turn_into_neighbour_and_opposite(self):
        self.assertEqual(made_of('    const bool late = now <= deadline;'),
                         [('comparison', 'const bool late = now < deadline;'), ('comparison', 'const bool late = now > deadline;')])

    def test_logic(self):
        self.assertIn(('logic', 'return ready || open;'), made_of('    return ready && open;'))
        self.assertIn(('logic', 'return (ready);'), made_of('    return (!ready);'))

    def test_a_statement_is_left_out_but_no_declaration(self):
        self.assertIn(('statement', ''), made_of('    log_.truncate(env, end);'))
        self.assertIn(('statement', ''), made_of('    high_watermark_ = offset;'))
        self.assertNotIn(('statement', ''), made_of('    const Offset end = log_.end();'))
        self.assertNotIn(('statement', ''), made_of('    return log_.end();'))

    def test_an_early_return_is_left_out(self):
        self.assertIn(('return', ''), made_of('    if (!ready()) return Error::none;'))

    def test_arguments_and_constants(self):
        self.assertIn(('arguments', 'append(end, start);'), made_of('    append(start, end);'))
        self.assertIn(('constant', 'set(false);'), made_of('    set(true);'))
        self.assertIn(('off-by-one', 'return last;'), made_of('    return last + 1;'))

    def test_text_comments_and_assertions_are_left_alone(self):
        self.assertEqual(made_of('    // a < b && c'), [])
        self.assertEqual(made_of('    KLAMM_ASSERT(a <= b);'), [])
        self.assertEqual(made_of('    return "a == b";'), [])

    def test_a_line_that_goes_on_is_not_dropped(self):
        text = 'void f() {\n    call(one,\n         two);\n    done(x);\n}\n'
        dropped = [mutant.line for mutant in mutate.mutants_of('a.cc', text) if mutant.kind == 'statement']
        self.assertEqual(dropped, [4])


class Choice(unittest.TestCase):
    def test_of_the_core_there_are_thousands(self):
        self.assertGreater(len(mutate.all_mutants(ROOT)), 3000)

    def test_a_line_more_leaves_the_others_chosen(self):
        text = 'void f() {\n    done(x);\n    more(y);\n    if (a < b) return;\n}\n'
        before = list(mutate.mutants_of('a.cc', text))
        after = list(mutate.mutants_of('a.cc', text.replace('void f', '\nvoid g() {}\nvoid f')))
        self.assertEqual([one.key() for one in mutate.drawn(before, '1', 3)],
                         [one.key() for one in mutate.drawn(after, '1', 3)])

    def test_applied_and_taken_back_a_file_is_as_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'a.cc'
            path.write_text('void f() {\n    done(x);\n}\n')
            mutant, = mutate.mutants_of('a.cc', path.read_text())
            text = mutate.apply(folder, mutant)
            self.assertEqual(path.read_text(), 'void f() {\n\n}\n')
            self.assertEqual(text, 'void f() {\n    done(x);\n}\n')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
