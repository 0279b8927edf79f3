#!/usr/bin/env python3
"""tidy_test: small trees with one fault each, and what tools/tidy must say about it."""

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("tidy", os.path.join(HERE, "tidy"))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)

BAD_WORD = "TO" + "DO"
GOOD = {
    "README.md": "`src/base/` `src/net/` `src/store/` `src/cli/` `src/protocol/` `src/server/`\n",
    "ARCHITECTURE.md": "`src/base/good.c` and `base/good.h`, by `src/*/good.c`\n",
    "docs/design/README.md": "[errors](0002-errors.md)\n",
    "docs/design/0002-errors.md": "words\n",
    "src/base/good.h": "/*\n * good: a header.\n */\n",
    "src/base/good.c": '/*\n * good: a file.\n */\n#include "base/good.h"\n\n'
                       "int good(void)\n{\n\treturn 0; /* not strcpy() */\n}\n",
    "src/base/good_test.c": "/* good_test: its test. */\n",
}


def function(lines):
    return "static void long_one(void)\n{\n" + "\twork();\n" * (lines - 3) + "}\n"


def c_file(name, rest):
    return f"/* {name}: words. */\n{rest}"


# (what is tried, files put into the good tree, part of the finding or None when all is well)
ROWS = [
    ("nothing wrong", {}, None),
    ("upward", {"src/base/a.c": c_file("a", '#include "net/loop.h"\n')}, "upward"),
    ("sideways", {"src/net/a.c": c_file("a", '#include "store/store.h"\n')}, "sideways"),
    ("downward", {"src/net/a.c": c_file("a", '#include "base/bytes.h"\n')}, None),
    ("two layers down", {"src/cli/a.c": c_file("a", '#include "store/store.h"\n')}, None),
    ("server to cli", {"src/server/a.c": c_file("a", '#include "cli/a.h"\n')}, "upward"),
    ("no folder", {"src/net/a.c": c_file("a", '#include "loop.h"\n')}, "without its folder"),
    ("unknown layer", {"src/net/a.c": c_file("a", '#include "other/a.h"\n')}, "no layer"),
    ("include in a comment", {"src/base/a.c": c_file("a", '/*\n#include "net/a.h"\n*/\n')}, None),
    ("uv outside", {"src/server/a.c": c_file("a", "#include <uv.h>\n")}, "src/net/loop.c only"),
    ("uv inside", {"src/net/loop.c": c_file("loop", "#include <uv.h>\n")}, None),
    ("cmocka outside", {"src/base/a_test.c": c_file("a_test", "#include <cmocka.h>\n"),
                        "src/base/a.c": c_file("a", "")}, "src/base/test.h only"),
    ("engine with a clock", {"src/protocol/a.c": c_file("a", "#include <time.h>\n")}, "no I/O"),
    ("function of 70", {"src/base/a.c": c_file("a", function(70))}, None),
    ("function of 71", {"src/base/a.c": c_file("a", function(71))}, "long_one has 71 lines"),
    ("signature of two lines", {"src/base/a.c": c_file(
        "a", function(70).replace("(void)", "(int a,\n\t\t     int b)"))}, "has 71 lines"),
    ("two functions of 40", {"src/base/a.c": c_file("a", function(40) + "\n" + function(40))},
     None),
    ("file of 600", {"src/base/a.c": c_file("a", "int a;\n" * 599)}, None),
    ("file of 601", {"src/base/a.c": c_file("a", "int a;\n" * 600)}, "has 601 lines"),
    ("strcpy", {"src/base/a.c": c_file("a", "\tstrcpy(a, b);\n")}, "strcpy() is banned"),
    ("sprintf with a space", {"src/base/a.c": c_file("a", "\tsprintf (a);\n")}, "banned"),
    ("snprintf", {"src/base/a.c": c_file("a", "\tsnprintf(a);\n")}, None),
    ("atoi in a string", {"src/base/a.c": c_file("a", '\tuse("atoi(x)");\n')}, None),
    ("atoi behind a quote", {"src/base/a.c": c_file("a", "\tuse('\"');\n\tatoi(x);\n")},
     "atoi() is banned"),
    ("member named system", {"src/base/a.c": c_file("a", "\ta->system(b);\n\tc.system(d);\n")},
     None),
    ("usleep in a test", {"src/base/good_test.c": c_file("good_test", "\tusleep(1);\n")},
     "in a test"),
    ("usleep elsewhere", {"src/base/a.c": c_file("a", "\tusleep(1);\n")}, None),
    ("disk in a store", {"src/store/a.c": c_file("a", "\tfsync(a);\n")}, "through base/file.h"),
    ("mapping in a store", {"src/store/a.c": c_file("a", "\tmmap(a);\n")}, "through base/file.h"),
    ("mapping elsewhere", {"src/net/a.c": c_file("a", "\tmmap(a);\n")}, None),
    ("method of a store", {"src/store/a.c": c_file("a", "\tstore->open(a);\n\tfile_open(b);\n")},
     None),
    ("disk in server", {"src/server/a.c": c_file("a", "\trename(a, b);\n")}, "file_kernel.c"),
    ("disk in the disk", {"src/base/file_kernel.c": c_file("file_kernel", "\trename(a, b);\n")},
     None),
    ("unfinished", {"src/base/a.c": c_file("a", f"/* {BAD_WORD} */\n")}, "unfinished"),
    ("unfinished in words", {"docs/a.md": BAD_WORD + "\n"}, "unfinished"),
    ("trailing space", {"docs/a.md": "words \n"}, "white space"),
    ("trailing tab", {"src/base/a.c": c_file("a", "int a;\t\n")}, "white space"),
    ("no last line end", {"docs/a.md": "words"}, "no line end"),
    ("no comment", {"src/base/a.c": "int a;\n"}, "does not begin with a comment"),
    ("empty comment", {"src/base/a.c": "/*\n *\n */\n"}, "does not begin with a comment"),
    ("strtol in the product", {"src/base/a.c": c_file("a", "\tstrtol(a);\n")}, "strtol()"),
    ("strtol in a test", {"tests/a.c": c_file("a", "\tstrtol(a);\n")}, None),
    ("test without its file", {"src/base/a_test.c": c_file("a_test", "")}, "there is no a.c"),
    ("second test of a file", {"src/base/good_more_test.c": c_file("good_more_test", "")}, None),
    ("fuzzer without its file", {"src/base/a_fuzz.c": c_file("a_fuzz", "")}, "there is no a.c"),
    ("page not linked", {"docs/design/0003-disk.md": "words\n"}, "not linked"),
    ("folder not in the tour", {"src/client/a.c": c_file("a", "")}, "does not name src/client/"),
    ("path that is not there", {"ARCHITECTURE.md": "`src/base/gone.c`\n"}, "does not exist"),
    ("path below src", {"ARCHITECTURE.md": "`base/gone.c`\n"}, "does not exist"),
    ("path with a placeholder", {"ARCHITECTURE.md": "`src/base/gNAME.c` `base/bad_NAME.c`\n"},
     "`base/bad_NAME.c` does not exist"),
    ("words that are no path", {"ARCHITECTURE.md": "`a/b` `ROOT/run/`\n"}, None),
]


class Tidy(unittest.TestCase):
    def test_rows(self):
        for name, files, wanted in ROWS:
            with self.subTest(name), tempfile.TemporaryDirectory() as root:
                for folder in tidy.LAYERS:
                    os.makedirs(os.path.join(root, "src", folder))
                for path, text in {**GOOD, **files}.items():
                    os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                    with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
                        stream.write(text)
                texts = [text for _, _, text in tidy.check_tree(root)]
                if wanted is None:
                    self.assertEqual(texts, [])
                else:
                    self.assertEqual(len(texts), 1, texts)
                    self.assertIn(wanted, texts[0])

    def test_line_numbers(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "src/base"))
            with open(os.path.join(root, "src/base/a.c"), "w", encoding="utf-8") as stream:
                stream.write("/* a: words\n * more\n */\n\n\tgets(a); /* x\n */ atoi(b);\n")
            found = [(line, text.split("(")[0]) for path, line, text in tidy.check_tree(root)
                     if path == "src/base/a.c"]
            self.assertEqual(found, [(5, "gets"), (6, "atoi")])


if __name__ == "__main__":
    unittest.main()
