"""Python values to Arrow columns, as directly as they go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAX_DICTIONARY = 1 << 16
"""A dictionary with more values starts afresh: hostile host names must not eat the memory."""
MAX_WORD_BYTES = 255
"""Longer words are cut: the length that RFC 5424 allows a hostname; app names have 48."""


class Vocabulary:
    """The growing dictionary of one dictionary-encoded column.

    Each batch's dictionary extends the one before, so that a stream needs only deltas.
    """

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        self._codes: dict[bytes | None, int] = {}
        self._words: list[str] = []
        self._dictionary: pa.Array = pa.array([], pa.string())
        self.restarts = 0
        """How often the codes were given anew."""
        self._restart()
        for value in values:
            self.code(value)

    def code(self, value: bytes) -> int:
        """The code of a value, added where it is new; a very long value is cut."""
        value = value[:MAX_WORD_BYTES]
        code = self._codes.get(value)
        if code is None:
            code = len(self._words)
            self._codes[value] = code
            self._words.append(text(value))
        return code

    def codes(self, values: Sequence[bytes | None]) -> npt.NDArray[np.int32]:
        """(N,) codes of the values, -1 for None."""
        if len(self._words) > MAX_DICTIONARY:
            self._restart()
        get = self._codes.get
        found = [get(value, -2) for value in values]
        if -2 in found:
            found = [
                self.code(value) if code == -2 and value is not None else code
                for code, value in zip(found, values, strict=True)
            ]
        return np.array(found, np.int32)

    @property
    def size(self) -> int:
        """How many values have a code."""
        return len(self._words)

    def word(self, code: int) -> str:
        """The value of a code, as text."""
        return self._words[code]

    def column(self, codes: npt.NDArray[np.int32]) -> pa.DictionaryArray:
        """The Arrow column of codes; -1 is null."""
        if len(self._dictionary) != len(self._words):
            self._dictionary = pa.array(self._words, pa.string())
        # Under the mask stands a code that exists where there is one: Polars looks at it.
        indices = pa.array(np.maximum(codes, 0), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, self._dictionary, safe=False)

    def _restart(self) -> None:
        self.restarts += 1
        self._codes = {None: -1}
        self._words = []
        self._dictionary = pa.array([], pa.string())


def text(value: bytes) -> str:
    r"""UTF-8, with what is not shown as \xNN."""
    return value.decode("utf-8", "backslashreplace")


def strings(values: Sequence[bytes | None]) -> pa.Array:
    r"""A string column; bytes that are not UTF-8 become \xNN."""
    raw = pa.array(values, pa.binary())
    try:
        return pc.cast(raw, pa.string())
    except pa.ArrowInvalid:
        # Hardly any value is at fault: only what is not plain ASCII is looked at.
        _, offsets, data = raw.buffers()
        far = np.flatnonzero(np.frombuffer(data, np.uint8) > 127)
        ends = np.frombuffer(offsets, np.int32)[1 : len(raw) + 1]
        mended = list(values)
        for i in np.unique(np.searchsorted(ends, far, side="right")).tolist():
            value = values[i] if i < len(mended) else None
            mended[i] = None if value is None else text(value).encode()
        return pc.cast(pa.array(mended, pa.binary()), pa.string())


def instants(us: Sequence[int | None] | npt.NDArray[np.int64]) -> pa.Array:
    """UTC microseconds to timestamp[us, UTC]."""
    return pa.array(us, pa.int64()).view(pa.timestamp("us", "UTC"))


def seconds(instants: pa.Array, otherwise_us: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(N,) Unix time in seconds; of nulls that of the other array, (N,) microseconds."""
    if instants.null_count == len(instants):
        return otherwise_us / 1e6
    us = np.asarray(pc.fill_null(instants.view(pa.int64()), 0))
    if instants.null_count:
        us = np.where(np.asarray(instants.is_valid()), us, otherwise_us)
    return us / 1e6


def spread(values: pa.Array, at: Sequence[int], length: int) -> pa.Array:
    """A column of `length` rows that holds `values` at the rows `at`, and nulls elsewhere.

    values: of numbers, strings, maps or structs of such, whole (offset 0). at: in order. Made of
    the values' own buffers: to take rows by an index costs two to four times as much.
    """
    if not len(at):
        return pa.nulls(length, values.type)
    index = np.asarray(at, np.intp)
    here = np.zeros(length, np.bool_)
    here[index] = True
    before = np.zeros(length + 1, np.intp)
    np.cumsum(here, out=before[1:])
    return _spread(values, index, here, before)


def _spread(
    values: pa.Array,
    index: npt.NDArray[np.intp],
    valid: npt.NDArray[np.bool_],
    before: npt.NDArray[np.intp],
) -> pa.Array:
    """valid: (N,) which rows have a value. before: (N + 1,) how many values stand before each."""
    kind, buffers = values.type, values.buffers()
    if values.null_count:
        some = np.frombuffer(buffers[0], np.uint8)
        valid = np.zeros(len(valid), np.bool_)
        valid[index] = np.unpackbits(some, count=len(index), bitorder="little")
    n, mask = len(valid), pa.py_buffer(np.packbits(valid, bitorder="little"))
    if pa.types.is_struct(kind):
        fields = [values.field(i) for i in range(kind.num_fields)]
        children = [_spread(field, index, valid, before) for field in fields]
        return pa.Array.from_buffers(kind, n, [mask], children=children)
    if pa.types.is_primitive(kind):
        numbers = np.zeros(n, kind.to_pandas_dtype())
        numbers[index] = np.frombuffer(buffers[1], numbers.dtype, len(index))
        return pa.Array.from_buffers(kind, n, [mask, pa.py_buffer(numbers)])
    offsets = pa.py_buffer(np.frombuffer(buffers[1], np.int32)[before])
    if pa.types.is_map(kind):
        pairs = pa.StructArray.from_arrays(
            [values.keys, values.items], fields=[kind.key_field, kind.item_field]
        )
        return pa.Array.from_buffers(kind, n, [mask, offsets], children=[pairs])
    return pa.Array.from_buffers(kind, n, [mask, offsets, buffers[2]])


def masked(values: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> pa.Array:
    """A column of numbers, null where not present."""
    return pa.array(values, mask=None if present.all() else ~present)


def vectors(values: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]) -> pa.Array:
    """(N, D) numbers to fixed_size_list<float32>[D], null where not present."""
    flat = pa.array(values.reshape(-1))
    mask = None if present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=mask)


def word_lists(fired: npt.NDArray[np.bool_], words: pa.Array) -> pa.Array:
    """(N, R) flags to list<dictionary<string>>: the words whose flag is set, in order."""
    lines, codes = np.nonzero(fired)
    offsets = np.zeros(len(fired) + 1, np.int32)
    np.cumsum(np.bincount(lines, minlength=len(fired)), out=offsets[1:])
    flat = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), words)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
