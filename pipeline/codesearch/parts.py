"""The files of a segment: written once and synced, mapped and verified at each opening."""

from __future__ import annotations

import io
import mmap
import os
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MEND = "run `ltt-stream codesearch index` again"


class CodeIndexError(OSError):
    """An index that is missing, damaged, in use or made with something else; one line."""


class BusyIndexError(CodeIndexError):
    """An index that another process writes to."""


class Check(NamedTuple):
    """What tells a whole file from a damaged one."""

    size: int
    crc32: int


class Sink:
    """A new file and its `check`; the disk has it when the context ends. Raises OSError, named."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb", buffering=0)
        self.check = Check(0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes at the end. Raises OSError."""
        view = memoryview(data).cast("B")
        self.check = Check(self.check.size + len(view), zlib.crc32(view, self.check.crc32))
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error


class ArraySink(Sink):
    """A .npy file that grows by pieces to the shape which was said at first."""

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        super().__init__(path)
        self._dtype = np.dtype(dtype)
        head = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(self._dtype)
        np.lib.format.write_array_header_1_0(
            head, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        self.write(head.getvalue())

    def append(self, piece: npt.NDArray[Any]) -> None:
        """Add rows at the end."""
        if piece.size:
            self.write(np.ascontiguousarray(piece, self._dtype).reshape(-1).view(np.uint8).data)


def write_array(path: Path, array: npt.NDArray[Any]) -> Check:
    """Write a .npy file. Raises OSError."""
    with ArraySink(path, array.dtype, array.shape) as sink:
        sink.append(array)
    return sink.check


def write_table(path: Path, table: pa.Table) -> Check:
    """Write an Arrow IPC file of one record batch. Raises OSError."""
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema) as out:
        batches = table.combine_chunks().to_batches()
        # A table without rows has no batch; a reader looks for one.
        out.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema))
    with Sink(path) as sink:
        sink.write(buffer.getvalue())
    return sink.check


def map_part(path: Path, check: Check) -> mmap.mmap:
    """Map a file. Raises CodeIndexError where it is not the one that was written."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != check.size:
                raise CodeIndexError(f"{path}: {size} bytes instead of {check.size}; {MEND}")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except CodeIndexError:
        raise
    except FileNotFoundError as error:
        raise CodeIndexError(f"{path}: missing; {MEND}") from error
    except OSError as error:
        raise CodeIndexError(f"{path}: {error.strerror}") from error
    if zlib.crc32(data) != check.crc32:
        raise CodeIndexError(f"{path}: damaged (its CRC-32 is another); {MEND}")
    # What was read to be checked need not stay in this process; it is in the page cache.
    data.madvise(mmap.MADV_DONTNEED)
    return data


def map_array(path: Path, check: Check, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The array of a .npy file, mapped. Raises CodeIndexError."""
    data = map_part(path, check)
    head = io.BytesIO(data[:256])
    if np.lib.format.read_magic(head) != (1, 0):
        raise CodeIndexError(f"{path}: not a .npy file of version 1.0; {MEND}")
    shape, _, found = np.lib.format.read_array_header_1_0(head)
    if found != np.dtype(dtype):
        raise CodeIndexError(f"{path}: holds {found} instead of {np.dtype(dtype)}; {MEND}")
    return np.ndarray(shape, found, data, head.tell())


def map_table(path: Path, check: Check, schema: pa.Schema) -> pa.RecordBatch:
    """The one record batch of an Arrow IPC file, mapped. Raises CodeIndexError."""
    with pa.ipc.open_file(pa.BufferReader(pa.py_buffer(map_part(path, check)))) as reader:
        if not reader.schema.equals(schema):
            raise CodeIndexError(f"{path}: holds other columns; {MEND}")
        return reader.get_batch(0)


def folder_bytes(folder: Path) -> int:
    """The size of an index on the disk; a writer may take parts away meanwhile."""
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.stat(os.path.join(path, name)).st_size  # noqa: PTH116, PTH118
    return size
