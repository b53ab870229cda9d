"""A piece of source in each language that is parsed, and the snippets that it falls into."""

from __future__ import annotations

from typing import Final

SAMPLES: Final = {
    "python": '''"""What the module is for."""

import os

LIMIT = 3


# Opens a session.
@cached
class Session(Base):
    """Keeps what was said."""

    timeout: float = 1.0

    def __init__(self) -> None:
        self.a = 1
        self.b = 2

    @property
    def request(self) -> str:
        """Ask for it."""
        answer = 1
        return answer

    async def close(self) -> None:
        pass


def retry(times):
    for _ in range(times):
        yield 1
''',
    "javascript": """import a from "b";
const fs = require("fs");
const LIMIT = 3;

/** Opens a session. */
export class Session extends Base {
  timeout = 1;

  constructor() {
    super();
    this.a = 1;
  }

  request = async () => {
    await this.open();
    return 1;
  };
}

module.exports.retry = function (times) {
  return times;
};

Session.prototype.close = function () {
  this.open = false;
  return 1;
};

export const add = (a, b) => {
  return a + b;
};
""",
    "typescript": """import { A } from "b";

interface Shape {
  area(): number;
}
type Name = string;

@Injectable()
export class Session {
  constructor(private a: A) {}

  /** Asks for it. */
  @Log()
  request(name: Name): number {
    const answer = 1;
    return answer;
  }
}

namespace Inner {
  export function helper(): void {
    a();
    b();
    c();
  }
}
export const View = () => <div>{1}</div>;
""",
    "java": """package a;

import b.C;

/** Keeps what was said. */
@Service
public class Session extends Base {
  private static final int LIMIT = 1;
  private int open;

  Session() {
    this.open = 1;
    this.ready = 2;
  }

  /** Asks for it. */
  @Override
  public int request(String name) {
    int answer = 1;
    return answer;
  }

  interface Listener {
    void heard();
    void said();
    void left();
    void came();
  }
}
""",
    "go": """package a

import "b"

const (
	Limit = 1
	Most  = 2
)

// Session keeps what was said.
type Session[T any] struct {
	open bool
}

// Request asks for it.
func (s *Session[T]) Request(name string) int {
	answer := 1
	return answer
}

func retry(times int) {
	for range times {
		try()
	}
}
""",
    "rust": """//! What the module is for.

use a::b;

/// Keeps what was said.
#[derive(Debug)]
pub struct Session<T> {
    open: T,
}

impl<T> Session<T> {
    const LIMIT: u32 = 1;

    /// Asks for it.
    pub fn request(&self) -> u32 {
        let answer = 1;
        answer
    }
}

impl fmt::Display for a::Session<u8> {
    fn fmt(&self) -> Result {
        one();
        two();
        three()
    }
}

macro_rules! retry {
    () => {};
}
""",
    "c": """#ifndef A_H
#define A_H
#define LIMIT 3
#define MAX(a, b) \\
    ((a) > (b) ? \\
        (a) : (b))

/* Keeps what was said. */
struct session {
    int open;
};

typedef enum { RED, GREEN } colour_t;

static const char *names[] = {
    "a",
    "b",
};

int declared(void);

/* Asks for it. */
static struct session *
session_request(const char *name)
{
    int answer = 1;
    return answer;
}

#ifdef _WIN32
int retry(int times) { return times; }
#endif
#endif
""",
    "c++": """#include <a>
namespace net::http {

// Keeps what was said.
template <typename T>
class Session : public Base {
public:
  Session() : open(1) {}
  ~Session();

  // Asks for it.
  int request(const T &name) const {
    int answer = 1;
    return answer;
  }
  bool operator==(const Session &o) const;
};

int Session<int>::close(int how) {
  open = 0;
  return how;
}

enum class Colour { Red, Green };
using Name = std::string;

}  // namespace net::http
""",
    "c#": """using System;
namespace Net.Http {
  /// <summary>Keeps what was said.</summary>
  [Serializable]
  public class Session : Base {
    private int open = 1;
    public string Name { get; set; }

    public Session(int a) {
      open = a;
    }

    /// <summary>Asks for it.</summary>
    public async Task<int> Request(string name) {
      var answer = 1;
      return answer;
    }
  }

  public record Point(int X, int Y);
  enum Colour { Red, Green }
}
""",
    "ruby": """require "a"

module Net
  # Keeps what was said.
  class Session < Base
    LIMIT = 1
    attr_reader :open

    # Asks for it.
    def request(name)
      answer = 1
      answer
    end

    def self.build
      one
      two
      three
    end

    private def close
      @open = false
    end
  end
end

Point = Struct.new(:x) do
  def length; end
end
""",
    "php": """<?php
namespace Net\\Http;

use A;

/** Keeps what was said. */
class Session extends Base
{
    const LIMIT = 1;
    private $open;

    /** Asks for it. */
    #[Route]
    public function request($name)
    {
        $answer = 1;
        return $answer;
    }
}

interface Shape
{
    function area();
}

function retry($times)
{
    return $times;
}
""",
    "kotlin": """package a

import b.C

const val LIMIT = 1

/** Keeps what was said. */
@Service
data class Session(val open: Boolean) : Base {
    val name = 1

    /** Asks for it. */
    override fun request(name: String): Int {
        val answer = 1
        return answer
    }

    companion object {
        fun build(): Session {
            return Session(true)
        }
    }
}

interface Shape {
    fun area(): Double
}

fun String.retry(): Int {
    return 1
}
""",
    "scala": """package a.b

import c.D

/** Keeps what was said. */
object Session extends App {
  val Limit = 1

  /** Asks for it. */
  def request(name: String): Int = {
    val answer = 1
    answer
  }
}

trait Shape {
  def area: Double
}

case class Point(x: Int, y: Int)
""",
    "swift": """import Foundation

/// Keeps what was said.
@objc public class Session: Base {
    var open = true

    init(name: String) {
        self.open = false
    }

    /// Asks for it.
    @discardableResult
    func request(name: String) -> Int {
        let answer = 1
        return answer
    }
}

extension Session {
    func close() {
        one()
        two()
        three()
    }
}

protocol Shape {
    func area() -> Double
}
""",
    "lua": """local M = {}

-- Asks for it.
function M.request(name)
  local answer = 1
  return answer
end

function M:close()
  self.open = false
  return 1
end

local function retry(times)
  return times
end

M.build = function()
  return {}
end

return M
""",
    "shell": """#!/bin/sh
set -eu

LIMIT=3

# Asks for it.
request() {
    answer=1
    echo "$answer"
}

function retry {
    for _ in 1 2 3; do
        "$@" && return
    done
}

request
""",
    "sql": """-- Who was here.
CREATE TABLE web.people (
    id INT PRIMARY KEY,
    name TEXT
);

CREATE INDEX people_by_name ON web.people (name);

CREATE OR REPLACE VIEW adults AS
SELECT name
FROM people
WHERE age > 17;

CREATE FUNCTION age(born INT) RETURNS INT AS $$
BEGIN
    RETURN 1;
END;
$$ LANGUAGE plpgsql;
""",
    "haskell": """module Net.Session (request) where

import Data.List

-- | Keeps what was said.
data Session = Open | Closed
  deriving (Show)

-- | Asks for it.
request :: Int -> Int
request 0 = 1
request n = n + m
  where
    m = 1

class Shape a where
  area :: a -> Double
  area _ = 0

infixl 6 <+>
x <+> y = x
""",
    "elixir": """defmodule Net.Session do
  @moduledoc "Keeps what was said."
  use Base

  @doc \"\"\"
  Asks for it.
  \"\"\"
  @spec request(integer) :: integer
  def request(name) when name > 1 do
    answer = 1
    answer
  end

  def request(_), do: 0

  defp close(session) do
    session
  end
end

defprotocol Shape do
  def area(shape)
end
""",
    "zig": """const std = @import("std");

/// Keeps what was said.
pub const Session = struct {
    open: bool,

    /// Asks for it.
    pub fn request(self: *Session) u32 {
        const answer = 1;
        return answer;
    }
};

const limit = 3;

fn retry(times: u32) u32 {
    return times;
}

test "asks" {
    try std.testing.expect(true);
}
""",
    "markdown": """---
title: Net
---
# Net, or *how to ask*

It keeps what was said.

## Use

```sh
# not a heading
net request
```

Limits
------

There are [three](limits.md).
""",
}
"""By language."""

EXPECTED: Final = {
    "python": """
1-5 ·: LIMIT
8-13 Session: Session
15-17 Session.__init__: __init__
19-23 Session.request: request
25-26 Session.close: close
29-31 retry: retry
""",
    "javascript": """
1-3 ·: LIMIT
5-7 Session: Session
9-12 Session.constructor: constructor
14-18 Session.request: request
20-22 retry: retry
24-27 Session.close: close
29-31 add: add
""",
    "typescript": """
1-5 Shape: Shape
6-6 Name: Name
8-9 Session: Session
10-18 Session.request: constructor request
20-26 Inner.helper: Inner helper
27-27 View: View
""",
    "java": """
1-3 ·:
5-9 Session: Session LIMIT
11-14 Session.Session: Session
16-21 Session.request: request
23-26 Session.Listener: Listener heard said left
27-29 Session.Listener.came: came
""",
    "go": """
1-3 ·:
5-8 Limit: Limit Most
10-13 Session: Session
15-19 Session.Request: Request
21-25 retry: retry
""",
    "rust": """
1-3 ·:
5-9 Session: Session
11-12 Session: LIMIT
14-19 Session.request: request
21-27 Session.fmt: fmt
29-31 retry: retry
""",
    "c": """
1-3 ·: LIMIT
4-6 MAX: MAX
8-11 session: session
13-18 names: colour_t names
20-28 session_request: session_request
30-33 retry: retry
""",
    "c++": """
1-2 ·:
4-7 Session: Session
8-9 Session.Session: Session
11-15 Session.request: request
16-17 Session:
19-22 Session.close: close
24-27 Colour: Colour Name
""",
    "c#": """
1-2 ·:
3-6 Session: Session
7-11 Session.Session: Name Session
13-18 Session.Request: Request
20-22 Point: Point Colour
""",
    "ruby": """
1-1 ·:
3-4 Net: Net
5-7 Net.Session: Session LIMIT
9-13 Net.Session.request: request
15-19 Net.Session.build: build
21-25 Net.Session.close: close
27-29 Point: Point length
""",
    "php": """
1-4 ·:
6-10 Session: Session LIMIT
12-19 Session.request: request
21-24 Shape: Shape area
26-29 retry: retry
""",
    "kotlin": """
1-5 ·: LIMIT
7-10 Session: Session
12-16 Session.request: request
18-23 Session.build: build
25-27 Shape: Shape area
29-31 retry: retry
""",
    "scala": """
1-3 ·:
5-7 Session: Session Limit
9-14 Session.request: request
16-20 Shape: Shape area Point
""",
    "swift": """
1-1 ·:
3-5 Session: Session
7-9 Session.init: init
11-17 Session.request: request
19-25 Session.close: close
27-29 Shape: Shape area
""",
    "lua": """
1-7 M.request: M request
9-12 M.close: close
14-16 retry: retry
18-22 M.build: build
""",
    "shell": """
1-4 ·: LIMIT
6-10 request: request
12-18 retry: retry
""",
    "sql": """
1-5 people: people
7-12 adults: people_by_name adults
14-18 age: age
""",
    "haskell": """
1-3 ·:
5-7 Session: Session
9-14 request: request
16-20 Shape: Shape area
21-21 <+>: <+>
""",
    "elixir": """
1-3 Net.Session: Session
5-14 Net.Session.request: request
16-19 Net.Session.close: close
21-23 Shape: Shape area
""",
    "zig": """
1-1 ·:
3-5 Session: Session
7-12 Session.request: request
14-18 retry: limit retry
20-22 test asks:
""",
    "markdown": """
1-3 ·:
4-6 Net, or how to ask:
8-13 Use:
15-18 Limits:
""",
}
"""Their snippets of about five lines: first and last line, symbol, and what is defined."""
