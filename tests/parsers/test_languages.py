"""A file is of the language that its name says, else its first line; users' words are known."""

from __future__ import annotations

import pytest

from parsers.languages import LANGUAGES, language_named, language_of, needs_head


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("stub.PYI", "python"),
        ("a.tsx", "typescript"),
        ("a.jsx", "javascript"),
        ("a.h", "c"),
        ("a.hpp", "c++"),
        ("a.cs", "c#"),
        ("a.test.js", "javascript"),
        ("Makefile", "make"),
        ("docker/Dockerfile.dev", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("Gemfile", "ruby"),
        ("README.md", "markdown"),
        ("notes.txt", ""),
        ("photo.png", ""),
        ("LICENSE", ""),
        (".py", ""),
        ("py", ""),
        ("a.py/LICENSE", ""),
    ],
)
def test_names_say_what_a_file_is(path: str, language: str) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("head", "language"),
    [
        (b"#!/bin/sh\n", "shell"),
        (b"#! /usr/bin/python3.11 -u\r\n", "python"),
        (b"#!/usr/bin/env node", "javascript"),
        (b"#!/usr/bin/env -S PYTHONPATH=. python3 -u\n", "python"),
        (b"#!/usr/bin/perl -w\n", "perl"),
        (b"#!/usr/bin/unknown\n", ""),
        (b"#!\n", ""),
        (b"# python\n", ""),
        (b"\x7fELF\xff", ""),
    ],
)
def test_a_first_line_says_it_where_the_name_does_not(head: bytes, language: str) -> None:
    assert language_of("bin/run", head) == language
    assert language_of("run.txt", head) == ""


def test_a_first_line_is_asked_for_only_where_it_counts() -> None:
    assert [path for path in ("run", "a.b/run", "run.py", "Makefile") if needs_head(path)] == [
        "run",
        "a.b/run",
    ]


@pytest.mark.parametrize(
    ("word", "language"),
    [
        ("py", "python"),
        ("Python", "python"),
        (".rs", "rust"),
        ("ts", "typescript"),
        ("tsx", "typescript"),
        ("cpp", "c++"),
        ("C++", "c++"),
        ("csharp", "c#"),
        ("sh", "shell"),
        ("bash", "shell"),
        ("golang", "go"),
        ("klingon", None),
        ("", None),
    ],
)
def test_languages_go_by_many_names(word: str, language: str | None) -> None:
    assert language_named(word) == language


def test_every_name_names_itself() -> None:
    assert {language_named(name) for name in LANGUAGES} == LANGUAGES
