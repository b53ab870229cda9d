"""Search as tools of the Model Context Protocol, over stdin and stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from parsers.languages import language_named
from pipeline import __version__
from pipeline.codesearch.actions import load_engine
from pipeline.codesearch.index import Index
from pipeline.codesearch.learnt import with_learnt
from pipeline.codesearch.manifest import MANIFEST
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.place import relative, root_of
from pipeline.codesearch.search import Answer, Searcher

_ABOUT = (
    "Finds places in an indexed source tree by plain words or names. Lines may have moved where "
    "stale is not 0: then `ltt-stream codesearch update` is due."
)


class Warm:
    """The encoder, loaded once, and the index as its last writer has left it."""

    def __init__(self, folder: Path, model: Path | None) -> None:
        self._folder = folder
        self._engine = load_engine(model)
        self._seen: tuple[int, int] | None = None
        self._searcher: Searcher | None = None
        self.searcher()

    def searcher(self) -> Searcher:
        """Opened anew when the manifest is another one. Raises CodeIndexError."""
        try:
            found = (self._folder / MANIFEST).stat()
            seen = found.st_mtime_ns, found.st_ino
        except FileNotFoundError:
            seen = None
        if self._searcher is None or seen != self._seen:
            index = Index.open(self._folder, model=self._engine.version)
            root = root_of(self._folder, index.root)
            engine = with_learnt(self._folder, self._engine)
            self._searcher, self._seen = Searcher(index, engine, root), seen
        return self._searcher


def serve(folder: Path, model: Path | None) -> None:
    """Answer until stdin ends. Raises CodeIndexError, models.errors.CheckpointError."""
    warm = Warm(folder, model)
    server = MCPServer("ltt-stream", version=__version__, instructions=_ABOUT, log_level="WARNING")

    # Asynchronous, though they wait for nothing: others are run in threads, and the encoder is
    # for one at a time.
    @server.tool()
    async def search(
        query: Annotated[str, Field(description="Plain words, or a name")],
        top_k: Annotated[int, Field(ge=1, le=100)] = 10,
        path: Annotated[str | None, Field(description="A glob, e.g. 'src/**' or '*.py'")] = None,
        language: Annotated[str | None, Field(description="E.g. py, go, c++")] = None,
    ) -> dict[str, Any]:
        """Find the places in the code that answer a question, best first."""
        named = language_named(language) if language else None
        if language and named is None:
            raise ToolError(f"language {language!r}: none that is indexed, e.g. py, ts, go, c++")
        return _told(_searcher(warm).search(query, top_k=top_k, glob=path, language=named))

    @server.tool()
    async def similar(
        path: Annotated[str, Field(description="Relative to the indexed folder, or absolute")],
        line: Annotated[int, Field(ge=1)],
        top_k: Annotated[int, Field(ge=1, le=100)] = 5,
    ) -> dict[str, Any]:
        """Find code like that about a line of a file."""
        searcher = _searcher(warm)
        try:
            answer = searcher.similar(
                relative(searcher.root / path, searcher.root), line, top_k=top_k
            )
        except CodeIndexError as error:
            raise ToolError(str(error)) from error
        if answer is None:
            raise ToolError(f"{path}: not in the index")
        return _told(answer)

    server.run("stdio")


def _searcher(warm: Warm) -> Searcher:
    try:
        return warm.searcher()
    except CodeIndexError as error:
        raise ToolError(str(error)) from error


def _told(answer: Answer) -> dict[str, Any]:
    return {"results": msgspec.to_builtins(answer.results), "stale": answer.stale}
