"""What a source file is written in: by the end of its name, its whole name, or its first line."""

from __future__ import annotations

import re
from typing import Final

_SUFFIXES: Final = {
    "ada": "adb ads ada",
    "asciidoc": "adoc asciidoc",
    "assembly": "s asm",
    "astro": "astro",
    "awk": "awk",
    "batch": "bat cmd",
    "c": "c h",
    "c++": "cc cpp cxx c++ hh hpp hxx h++ ipp inl tcc cppm ixx cu cuh ino tpp",
    "c#": "cs csx",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "coffeescript": "coffee",
    "common lisp": "lisp lsp cl",
    "crystal": "cr",
    "css": "css scss sass less",
    "cython": "pyx pxd pxi",
    "d": "d di",
    "dart": "dart",
    "dockerfile": "dockerfile containerfile",
    "elixir": "ex exs",
    "elm": "elm",
    "emacs lisp": "el",
    "erlang": "erl hrl",
    "f#": "fs fsi fsx",
    "fish": "fish",
    "fortran": "f f90 f95 f03 f08 for",
    "gleam": "gleam",
    "glsl": "glsl vert frag comp geom hlsl wgsl metal",
    "go": "go",
    "gradle": "gradle",
    "graphql": "graphql gql",
    "groovy": "groovy",
    "haskell": "hs lhs hsc",
    "html": "html htm xhtml j2 jinja jinja2 erb ejs hbs mustache twig eex heex leex cshtml razor",
    "ini": "ini cfg conf properties",
    "java": "java",
    "javascript": "js mjs cjs jsx es6",
    "julia": "jl",
    "kotlin": "kt kts",
    "latex": "tex sty",
    "lua": "lua",
    "make": "mk mak make",
    "markdown": "md markdown mdx mdown",
    "meson": "meson",
    "nim": "nim nims",
    "nix": "nix",
    "objective-c": "m mm",
    "ocaml": "ml mli mll mly",
    "pascal": "pas pp dpr lpr",
    "perl": "pl pm t pod",
    "php": "php php3 php4 php5 phtml",
    "powershell": "ps1 psm1 psd1",
    "prolog": "pro prolog",
    "protobuf": "proto",
    "python": "py pyi pyw",
    "r": "r",
    "racket": "rkt",
    "restructuredtext": "rst",
    "ruby": "rb rake gemspec ru podspec",
    "rust": "rs",
    "scala": "scala sc sbt",
    "scheme": "scm ss",
    "shell": "sh bash zsh ksh bats",
    "solidity": "sol",
    "sql": "sql ddl psql plsql pgsql",
    "starlark": "bzl bazel star",
    "svelte": "svelte",
    "swift": "swift",
    "systemverilog": "v sv svh vh",
    "tcl": "tcl",
    "terraform": "tf tfvars hcl",
    "thrift": "thrift",
    "toml": "toml",
    "typescript": "ts mts cts tsx",
    "vala": "vala vapi",
    "vhdl": "vhd vhdl",
    "vim": "vim",
    "visual basic": "vb bas",
    "vue": "vue",
    "yaml": "yaml yml",
    "yacc": "y yy l",
    "zig": "zig zon",
}
_WORDS: Final = {
    "bash": "shell",
    "cplusplus": "c++",
    "csharp": "c#",
    "docker": "dockerfile",
    "fsharp": "f#",
    "golang": "go",
    "jsx": "javascript",
    "js": "javascript",
    "lisp": "common lisp",
    "makefile": "make",
    "node": "javascript",
    "objc": "objective-c",
    "proto": "protobuf",
    "pwsh": "powershell",
    "rlang": "r",
    "tsx": "typescript",
    "verilog": "systemverilog",
    "vb": "visual basic",
}
_NAMES: Final = {
    "brewfile": "ruby",
    "build": "starlark",
    "build.bazel": "starlark",
    "cmakelists.txt": "cmake",
    "containerfile": "dockerfile",
    "dockerfile": "dockerfile",
    "gemfile": "ruby",
    "gnumakefile": "make",
    "guardfile": "ruby",
    "jenkinsfile": "groovy",
    "justfile": "make",
    "makefile": "make",
    "makefile.am": "make",
    "makefile.in": "make",
    "meson.build": "meson",
    "meson_options.txt": "meson",
    "pipfile": "toml",
    "podfile": "ruby",
    "rakefile": "ruby",
    "sconscript": "python",
    "sconstruct": "python",
    "vagrantfile": "ruby",
    "workspace": "starlark",
    "configure.ac": "shell",
}
_BY_SUFFIX: Final = {
    suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
_INTERPRETERS: Final = {
    "ash": "shell",
    "astro": "astro",
    "awk": "awk",
    "bash": "shell",
    "bun": "javascript",
    "dash": "shell",
    "deno": "typescript",
    "elixir": "elixir",
    "escript": "erlang",
    "fish": "fish",
    "gawk": "awk",
    "groovy": "groovy",
    "julia": "julia",
    "ksh": "shell",
    "lua": "lua",
    "luajit": "lua",
    "make": "make",
    "node": "javascript",
    "nodejs": "javascript",
    "perl": "perl",
    "php": "php",
    "pwsh": "powershell",
    "pypy": "python",
    "python": "python",
    "rscript": "r",
    "ruby": "ruby",
    "runghc": "haskell",
    "scala": "scala",
    "sh": "shell",
    "swift": "swift",
    "tclsh": "tcl",
    "uv": "python",
    "wish": "tcl",
    "zsh": "shell",
}
_SHEBANG: Final = re.compile(
    rb"#![ \t]*(?:\S*/)?env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*([^\s/]+)|#![ \t]*(?:\S*/)?(\S+)"
)
_VERSION: Final = re.compile(r"[-\d.]+$")

LANGUAGES: Final = frozenset(_SUFFIXES)
"""The names of all that are read."""


def language_of(path: str, head: bytes = b"") -> str:
    """The name of the language that a file is written in; "" where it is none that is read.

    head: the first bytes of the file, asked for by `needs_head`.
    """
    name = path.rpartition("/")[2].lower()
    stem, dot, suffix = name.rpartition(".")
    if name in _NAMES:
        return _NAMES[name]
    if dot and stem:
        # "Dockerfile.dev" and "Makefile.win" say what they are at their beginning
        return _BY_SUFFIX.get(suffix, "") or _NAMES.get(name.partition(".")[0], "")
    return _interpreted(head) if head.startswith(b"#!") else ""


def needs_head(path: str) -> bool:
    """Whether only the first line can say what the file is."""
    name = path.rpartition("/")[2].lower()
    return "." not in name[1:] and name not in _NAMES


def language_named(word: str) -> str | None:
    """The language that a user means by "py", "C++", "golang" or ".rs"; None is not known."""
    word = word.strip().lower()
    if word in LANGUAGES:
        return word
    word = word.removeprefix(".")
    return _WORDS.get(word) or _BY_SUFFIX.get(word)


def _interpreted(head: bytes) -> str:
    found = _SHEBANG.match(head.partition(b"\n")[0])
    if found is None:
        return ""
    program = (found[1] or found[2]).decode("utf-8", "replace").lower()
    return _INTERPRETERS.get(program) or _INTERPRETERS.get(_VERSION.sub("", program), "")
