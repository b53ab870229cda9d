"""Code pairs: which functions make one, what is left of their docs, what counts as the same."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.harvest.docs import is_wanted, summary
from models.training.harvest.functions import LANGUAGES, functions
from models.training.harvest.packages import Side
from models.training.harvest.pairs import SCHEMA, PairCorpus, fingerprint, tokens
from models.training.harvest.trees import SourceFile
from tests.models.harvest.trees import package, tree
from tests.support import shared

PYTHON = '''
class Clock:
    @cached
    def drift(self, peer):
        """Measure how far a :class:`peer` is off.

        :param peer: whom to ask
        """
        answer = self.ask(peer)
        # the way there and back
        return answer.time - self.now() - answer.delay / 2

    def __repr__(self):
        """Show the clock with its zone."""
        return f"{self.now()} {self.zone} {self.offset}"
'''
SOURCES = {
    "python": (PYTHON, "Clock.drift", 4, "def drift(self, peer):\n    answer = self.ask(peer)\n"),
    "c": (
        "/* Licence text */\n\n/*\n * Read one tick from the wire.\n *\n * Blocks.\n */\n"
        "static int\nread_tick(int fd, struct tick *t)\n{\n\treturn read(fd, t, sizeof *t);\n}\n",
        "read_tick",
        8,
        "static int\nread_tick(int fd,",
    ),
    "go": (
        "package a\n\n// readTick reads one tick\n// from the wire.\n"
        "func (w *Wire) readTick() Tick {\n\tvar t Tick\n\treturn t\n}\n",
        "readTick",
        5,
        "func (w *Wire) readTick() Tick {",
    ),
    "java": (
        "class A {\n    /**\n     * Reads one {@link Tick} from the wire.\n     *\n"
        "     * @return it\n     */\n    @Override\n    public Tick readTick() {\n"
        "        return wire.read();\n    }\n}\n",
        "readTick",
        7,
        "@Override\npublic Tick readTick() {\n    return",
    ),
    "javascript": (
        "/** Reads one tick from the wire. */\nexport const readTick = (wire) => {\n"
        "\treturn wire.read(1, true);\n};\n",
        "readTick",
        2,
        "export const readTick = (wire) => {",
    ),
    "php": (
        "<?php\nclass A {\n    /**\n     * Reads one tick from the wire.\n     */\n"
        "    public function readTick($wire)\n    {\n        return $wire->read(1);\n    }\n}\n",
        "readTick",
        6,
        "public function readTick($wire)\n{\n",
    ),
    "ruby": (
        "class A\n  # Reads one tick\n  # from the wire.\n  def read_tick(wire)\n"
        "    wire.read(1)\n  end\nend\n",
        "read_tick",
        4,
        "def read_tick(wire)\n  wire.read(1)\nend",
    ),
    "rust": (
        "impl A {\n    /// Reads one tick from the wire.\n    ///\n    /// # Panics\n"
        "    #[inline]\n    pub fn read_tick(&self) -> Tick {\n        self.wire.read()\n"
        "    }\n}\n",
        "read_tick",
        6,
        "pub fn read_tick(&self) -> Tick {\n    self",
    ),
    "typescript": (
        "class A {\n  /**\n   * Reads one tick from the wire.\n   */\n"
        "  readTick(wire: Wire): Tick {\n    return wire.read();\n  }\n}\n",
        "readTick",
        5,
        "readTick(wire: Wire): Tick {\n  return",
    ),
}


def test_every_language_is_tried() -> None:
    assert set(SOURCES) == LANGUAGES


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_the_documented_function_of_each_language(language: str) -> None:
    text, name, line, start = SOURCES[language]
    [function] = functions(SourceFile("a", language, text))
    assert (function.name, function.start_line) == (name, line)
    assert function.code.startswith(start)
    said = summary(function.doc, function.name, language).lower()
    assert said.endswith(("one tick from the wire.", "measure how far a peer is off."))
    assert is_wanted(summary(function.doc, function.name, language))


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_broken_source_raises_nothing(language: str) -> None:
    text = SOURCES[language][0]
    for end in range(0, len(text), 7):
        list(functions(SourceFile("a", language, text[:end])))


@pytest.mark.parametrize(
    ("doc", "name", "language", "said"),
    [
        ("Return the time.\n\nMore of it.", "now", "python", "Return the time."),
        ("ReadAll reads it all.", "ReadAll", "go", "reads it all."),
        ("ReadAllFiles are read.", "ReadAll", "go", "ReadAllFiles are read."),
        ("/**\n * Gives <b>bold</b> `text`\n * @param x it\n */", "f", "java", "Gives bold text"),
        ("See :py:func:`~a.b` for it.", "f", "python", "See a.b for it."),
        ("Wait for [`Future`] to end.", "f", "rust", "Wait for Future to end."),
        ("Parse it at once.", "parse", "rust", "Parse it at once."),
        ("Parse parses it all.", "parse", "go", "parses it all."),
        ("A list<int> of all.", "f", "java", "A list<int> of all."),
        ("Sum up.\nArgs:\n  x: what", "f", "python", "Sum up."),
    ],
)
def test_summaries(doc: str, name: str, language: str, said: str) -> None:
    assert summary(doc, name, language) == said


@pytest.mark.parametrize(
    "doc", ["Too short", "wo rds", "x" * 401, "Copyright 1999 by them", "TODO: say more here",
            "1 + 2 = 3; 4 * 5 == 20", "读取一个文件并返回它的全部内容 now"]
)  # fmt: skip
def test_docs_that_are_not_wanted(doc: str) -> None:
    assert not is_wanted(doc)


SUM = "int sum(int a, int b) {\n\tint c = a + b; /* so */\n\treturn c + %s;\n}"


def test_comments_literals_and_the_own_name_make_no_difference() -> None:
    first = fingerprint(tokens(SUM % '12 + f("x")', "sum"))
    second = SUM.replace("sum", "add").replace("/* so */", "// or so") % '7 + f("yz")'
    assert first == fingerprint(tokens(second, "add"))
    assert first != fingerprint(tokens(second, "sum"))
    assert first != fingerprint(tokens(SUM.replace("a + b", "a - b") % '12 + f("x")', "sum"))


@given(st.text())
def test_any_text_has_tokens(text: str) -> None:
    assert all(tokens(text, "f"))


def module(*docs: str, start: int = 0) -> str:
    """Python with one function a doc, all different."""
    return "\n".join(
        f'def function{i}(argument):\n    """{doc}"""\n'
        f"    value{i} = argument.read{i}()\n    return value{i} + argument.offset\n"
        for i, doc in enumerate(docs, start)
    )


def gathered(root: Path, side: Side = "train", **files: str) -> PairCorpus:
    corpus = PairCorpus(side, seed=0)
    corpus.add(package(), tree(root, {f"{name}.py": text for name, text in files.items()}))
    return corpus


def test_equal_code_is_kept_once(tmp_path: Path) -> None:
    text = module("Reads the one value.")
    assert len(gathered(tmp_path, a=text, b=text.replace("one", "other"))) == 1


def test_code_of_the_held_out_side_never_enters(tmp_path: Path) -> None:
    text = module("Reads the one value.", "Reads the next value.")
    dev = gathered(tmp_path / "dev", "dev", a=text)
    train = PairCorpus("train", 0, held_out=dev.fingerprints)
    assert train.add(package(), tree(tmp_path / "train", {"a.py": text})) == 0


@pytest.mark.parametrize(("side", "most"), [("train", 2), ("dev", 1)])
def test_the_same_doc_stays_rare(tmp_path: Path, side: Side, most: int) -> None:
    assert len(gathered(tmp_path, side, a=module(*["Reads the one value."] * 5))) == most


def test_the_same_doc_stays_rare_over_all_packages(tmp_path: Path) -> None:
    corpus = PairCorpus("train", 0)
    for i in range(5):
        text = module(*["Reads the one value."] * 2, start=10 * i)
        corpus.add(package(f"p{i}"), tree(tmp_path / f"p{i}", {"a.py": text}))
    assert len(corpus) == 6


def test_a_cap_takes_a_seeded_sample(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a.py": module(*(f"Reads value {'x' * i} here." for i in range(30)))})

    def names(seed: int) -> list[str]:
        corpus = PairCorpus("train", seed)
        assert corpus.add(package(), root, limit=10) == 10
        return [str(name) for name in corpus.table()["name"].to_pylist()]

    assert names(1) == names(1)
    assert any(names(1) != names(seed) for seed in range(2, 6))


def test_what_is_left_out(tmp_path: Path) -> None:
    good = module("Reads the one value.")
    files = {
        "tests/a.py": good,
        "vendor/a.py": good,
        "made.py": f"# Code generated by a tool. DO NOT EDIT.\n{good}",
        "short.py": 'def f(x):\n    """Reads the one value."""\n    return x\n',
        "broken.py": f"def (:\n{good}",
    }
    assert PairCorpus("train", 0).add(package(), tree(tmp_path, files)) == 0


def test_the_table_has_the_columns_of_the_given_corpus(tmp_path: Path) -> None:
    long = module("Reads the one value.") + "".join(f"    call({i})\n" for i in range(500))
    rows = gathered(tmp_path, a=long.replace("    return", "    x =")).table()
    assert rows.schema.equals(SCHEMA)
    assert len(rows["code"][0].as_py()) == 2000
    for side in ("train", "dev"):
        schema = pq.read_schema(shared(f"data/codepairs_{side}.parquet"))
        assert rows.schema.equals(schema, check_metadata=False)
