"""The server, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult

from tests.e2e.program import LTT_STREAM
from tests.e2e.sources import asked, good, index_of, ltt, plant, put, refused


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = plant(tmp_path / "tree")
    good("index", tree, cwd=tree)
    return tree


def served(tree: Path, ask: Callable[[Client], Awaitable[None]]) -> None:
    """Start the server, ask it, let it end."""
    command = StdioServerParameters(
        env=dict(os.environ),
        command=str(LTT_STREAM),
        args=["codesearch", "serve", "--index", str(index_of(tree))],
    )

    with (tree.parent / "stderr").open("w+") as stderr:

        async def talk() -> None:
            transport = stdio_client(command, errlog=stderr)
            async with asyncio.timeout(60), Client(transport) as client:
                await ask(client)

        asyncio.run(talk())
        stderr.seek(0)
        assert stderr.read() == ""


def results(answer: CallToolResult) -> list[dict[str, Any]]:
    """What the tool gave; the same as text and as structure."""
    assert not answer.is_error
    assert answer.structured_content is not None
    assert json.loads(answer.content[0].text) == answer.structured_content  # type: ignore[union-attr]
    found: list[dict[str, Any]] = answer.structured_content["results"]
    return found


def error(answer: CallToolResult) -> str:
    assert answer.is_error
    said: str = answer.content[0].text  # type: ignore[union-attr]
    assert "Traceback" not in said
    return said


def test_both_tools_answer_what_the_command_line_answers(tree: Path) -> None:
    async def ask(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "similar"}
        assert set(tools["search"].input_schema["properties"]) == {
            "query", "top_k", "path", "language",
        }  # fmt: skip
        assert tools["search"].input_schema["required"] == ["query"]
        assert set(tools["similar"].input_schema["required"]) == {"path", "line"}
        assert all(tool.description for tool in tools.values())
        answer = await client.call_tool("search", {"query": "failed upload"})
        assert results(answer) == asked("failed upload", cwd=tree)
        narrow = {"query": "failed upload", "top_k": 3, "path": "src/**", "language": "py"}
        answer = await client.call_tool("search", narrow)
        args = ("-k3", "--path", "src/**", "--lang", "py")
        assert results(answer) == asked("failed upload", *args, cwd=tree)
        for path in ("lib/copied/again.py", str(tree / "lib/copied/again.py")):
            answer = await client.call_tool("similar", {"path": path, "line": 4})
            expected = good("similar", "lib/copied/again.py:4", "--json", cwd=tree)
            assert results(answer) == json.loads(expected)

    served(tree, ask)


def test_what_another_process_updates_is_seen_without_a_restart(tree: Path) -> None:
    async def ask(client: Client) -> None:
        question = {"query": "zebra_crossing", "top_k": 1}
        before = await client.call_tool("search", question)
        assert "zebra" not in str(results(before))
        put(tree, "new.py", "def zebra_crossing():\n    pass\n")
        good("update", cwd=tree)
        (found,) = results(await client.call_tool("search", question))
        assert found["path"] == "new.py"
        (tree / "new.py").unlink()
        answer = await client.call_tool("search", question)
        assert answer.structured_content is not None
        assert answer.structured_content["stale"] == 1
        good("index", ".", "--snippet-lines", "30", cwd=tree)
        after = await client.call_tool("search", question)
        assert results(after) == asked("zebra_crossing", "-k1", cwd=tree)

    served(tree, ask)


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "no query": ("search", {}),
    "no number": ("search", {"query": "x", "top_k": "many"}),
    "none asked for": ("search", {"query": "x", "top_k": 0}),
    "no such language": ("search", {"query": "x", "language": "klingon"}),
    "no such file": ("similar", {"path": "nothing.py", "line": 1}),
    "a file outside": ("similar", {"path": "/etc/passwd", "line": 1}),
    "a file above": ("similar", {"path": "../../x.py", "line": 1}),
    "a name that none can have": ("similar", {"path": "a\0b", "line": 1}),
    "line zero": ("similar", {"path": "README.md", "line": 0}),
}


def test_a_bad_argument_is_an_error_of_the_tool_and_the_server_goes_on(tree: Path) -> None:
    async def ask(client: Client) -> None:
        for name, (tool, arguments) in BAD.items():
            assert error(await client.call_tool(tool, arguments)), name
        far = await client.call_tool("similar", {"path": "README.md", "line": 10**30})
        assert results(far)
        assert results(await client.call_tool("search", {"query": "🦝 upload"}))
        assert results(await client.call_tool("search", {"query": "?!"})) == []
        manifest = index_of(tree) / "manifest.json"
        whole = manifest.read_bytes()
        manifest.write_bytes(whole[:-9])
        assert "ltt-stream codesearch index" in error(
            await client.call_tool("search", {"query": "upload"})
        )
        manifest.unlink()
        assert "no index" in error(await client.call_tool("search", {"query": "upload"}))
        manifest.write_bytes(whole)
        assert results(await client.call_tool("search", {"query": "upload"}))

    served(tree, ask)


def test_stdout_carries_the_protocol_alone_and_the_end_of_stdin_ends_it(tree: Path) -> None:
    asks = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "search", "arguments": {"query": "upload"}}},
    ]  # fmt: skip
    with subprocess.Popen(
        [LTT_STREAM, "codesearch", "serve"], cwd=tree / "src", text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        for message in asks:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            if "id" in message:
                said.append(json.loads(process.stdout.readline()))
        out, err = process.communicate(timeout=60)
    assert [message["id"] for message in said] == [1, 2]
    assert said[0]["result"]["serverInfo"]["name"] == "ltt-stream"
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("package", ["mcp", "pydantic"])
def test_without_the_extra_the_server_says_what_to_install(
    package: str, tree: Path, tmp_path: Path
) -> None:
    put(tmp_path, f"blocked/{package}.py", f"raise ModuleNotFoundError('no', name='{package}')\n")
    path = os.pathsep.join([str(tmp_path / "blocked"), os.environ.get("PYTHONPATH", "")])
    said = refused(ltt("serve", cwd=tree, env={"PYTHONPATH": path}))
    assert said == "serve: pip install 'ltt-stream[mcp]'"
