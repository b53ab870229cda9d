"""A small tree in many languages, `codesearch` run on it, and what must be answered about it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from models.searching import SearchEngine
from pipeline.codesearch.actions import load_engine, make_index
from pipeline.codesearch.index import Index
from pipeline.codesearch.place import FOLDER, root_of
from pipeline.codesearch.search import Result, Searcher
from tests.e2e import warm
from tests.e2e.program import LTT_STREAM

_TEMPLATES = {
    "py": """# {title}


def {snake}(self, value):
    \"\"\"{title}.\"\"\"
    result = self.{noun}_table.lookup(value)
    if result is None:
        raise KeyError("no {noun} to {verb}")
    return result
""",
    "go": """package {noun}

// {camel} does this: {title}.
func {camel}(value string) (string, error) {{
	found, ok := {noun}Table[value]
	if !ok {{
		return "", errors.New("no {noun} to {verb}")
	}}
	return found, nil
}}
""",
    "rs": """/// {title}
pub fn {snake}(value: &str) -> Option<String> {{
    let {noun}_table = open_table();
    {noun}_table.get(value).cloned()
}}
""",
    "ts": """/** {title} */
export function {lower}(value: string): string {{
  const found = {noun}Table.get(value);
  if (!found) throw new Error("no {noun} to {verb}");
  return found;
}}
""",
    "java": """/** {title} */
class {camel} {{
    String {lower}(String value) {{
        return {noun}Table.getOrDefault(value, "no {noun} to {verb}");
    }}
}}
""",
    "c": """/* {title} */
static int {snake}(struct {noun} *table, const char *value)
{{
    if (!table)
        return -EINVAL;
    return {noun}_find(table, value);
}}
""",
    "rb": """# {title}
def {snake}(value)
  {noun}_table.fetch(value) {{ raise "no {noun} to {verb}" }}
end
""",
    "sh": """#!/bin/sh
# {title}
{snake}() {{
  grep -q "$1" "{noun}.table" || exit 1
}}
""",
    "yaml": """# {title}
{noun}:
  {verb}: true
  retries: 3
""",
}
TOPICS = [
    ("retry", "upload", "Send a failed upload again after a pause"),
    ("open", "session", "Decrypt the session cookie of a request"),
    ("parse", "header", "Split the header lines of a reply"),
    ("rotate", "certificate", "Replace a certificate before it expires"),
    ("throttle", "client", "Slow down a client that asks too often"),
    ("compress", "picture", "Make a picture smaller without loss"),
    ("migrate", "schema", "Bring the database schema to the next version"),
    ("schedule", "backup", "Start the nightly backup"),
    ("verify", "signature", "Check the signature of a token"),
]
QUESTIONS = [
    "send a failed upload again",
    "where is the session cookie decrypted",
    "retry_upload",
    "OpenSession",
    "parse header",
    "certificate expires",
    "slow down clients that ask too often",
    "make a picture smaller",
    "next version of the database",
    "nightly backup",
    "VerifySignature",
    "zebra crossing",
]
"""Asked again and again; what the edits of the tests put in is among them."""


def source(language: str, verb: str, noun: str, title: str) -> str:
    """A file of a language about something."""
    camel = verb.title() + noun.title()
    return _TEMPLATES[language].format(
        verb=verb, noun=noun, title=title, snake=f"{verb}_{noun}", camel=camel,
        lower=verb + noun.title(),
    )  # fmt: skip


def plant(root: Path) -> Path:
    """The tree: 33 files, each topic in a few languages, and two near copies."""
    languages = list(_TEMPLATES)
    for number, topic in enumerate(TOPICS):
        verb, noun, _ = topic
        for step in (0, 2, 5):
            language = languages[(number + step) % len(languages)]
            folder = ("src", "lib", "tools")[step % 3]
            put(root, f"{folder}/{noun}/{verb}_{noun}.{language}", source(language, *topic))
    put(root, "src/upload/client.py", source("py", *TOPICS[0]) + source("py", *TOPICS[4]))
    copy = source("py", *TOPICS[0]).replace("self.", "this.")
    put(root, "lib/copied/again.py", copy)
    put(root, "tests/test_upload.py", "def test_retry_upload():\n    assert retry_upload(1)\n")
    put(root, "README.md", "# Uploads\n\nSends files.\n\n## Failures\n\nA failed one: again.\n")
    put(root, "src/größe.py", "def größe(straße):\n    return len(straße)\n")
    put(root, "tools/dos.py", "def carriage():\r\n    return 'return'\r\n")
    return root


def put(root: Path, path: str, text: str | bytes, *, age_s: float = 0) -> Path:
    """A file, with the folders above it; written so long ago."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    if age_s:
        old = file.stat().st_mtime - age_s
        os.utime(file, (old, old))
    return file


def ltt(
    *args: str | Path | bytes,
    cwd: Path,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """`ltt-stream codesearch ARGS`, ended; what it says may hold bytes that are not UTF-8."""
    if not env and not prefix:
        return warm.run(["codesearch", *map(os.fsdecode, args)], cwd)
    return subprocess.run(
        [*prefix, LTT_STREAM, "codesearch", *args],
        cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        encoding="utf-8", errors="surrogateescape", env={**os.environ, **(env or {})},
    )  # fmt: skip


def good(*args: str | Path | bytes, cwd: Path, env: dict[str, str] | None = None) -> str:
    """The same where it must end with 0; its stdout."""
    done = ltt(*args, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line in which a command said why it failed."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    (said,) = done.stderr.splitlines()
    assert re.match(r"ltt-stream: \S", said), said
    return said.removeprefix("ltt-stream: ")


def asked(*args: str | Path, cwd: Path) -> list[dict[str, Any]]:
    """`search ARGS --json`."""
    found: list[dict[str, Any]] = json.loads(good("search", "--json", *args, cwd=cwd))
    return found


@cache
def engine() -> SearchEngine:
    return load_engine(None)


def answers(index: Path) -> list[list[Result]]:
    """What `--json` gives to all QUESTIONS, without a start of the program for each."""
    opened = Index.open(index, model=engine().version)
    searcher = Searcher(opened, engine(), root_of(index, opened.root))
    return [searcher.search(question, top_k=20).results for question in QUESTIONS]


def fresh_answers(tree: Path, lines: int = 20, overlap: int = 5) -> list[list[Result]]:
    """What an index says that was made of a tree as it is now."""
    folder = tree.parent / f"fresh of {tree.name}"
    shutil.rmtree(folder, ignore_errors=True)
    make_index(
        tree, folder, lines=lines, overlap=overlap, model=None, progress=lambda done, total: None
    )
    found = answers(folder)
    shutil.rmtree(folder)
    return found


def leftovers(index: Path) -> set[str]:
    """What lies in an index that is none of its parts."""
    named = set(re.findall(r"segment-\d+", (index / "manifest.json").read_text()))
    return {path.name for path in index.iterdir()} - named - {
        "manifest.json", "writer.lock", "waiting.lock", ".gitignore"
    }  # fmt: skip


def index_of(tree: Path) -> Path:
    return tree / FOLDER
