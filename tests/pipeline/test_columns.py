"""Python values to Arrow columns and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline import columns
from pipeline.columns import MAX_DICTIONARY, Vocabulary
from pipeline.schema import PACKET, STRUCTURED_DATA

texts = st.one_of(st.none(), st.binary(max_size=20), st.text(max_size=20).map(str.encode))


@given(st.lists(st.lists(texts, max_size=20), max_size=5))
def test_a_vocabulary_gives_back_what_went_in_and_only_grows(batches: list[list[bytes]]) -> None:
    vocabulary = Vocabulary()
    dictionary: list[str] = []
    for values in batches:
        column = vocabulary.column(vocabulary.codes(values))
        column.validate(full=True)
        assert column.to_pylist() == [None if v is None else columns.text(v) for v in values]
        grown = column.dictionary.to_pylist()
        assert grown[: len(dictionary)] == dictionary
        dictionary = grown


def test_hostile_values_do_not_grow_a_vocabulary_without_bound() -> None:
    vocabulary = Vocabulary()
    for start in range(0, 3 * MAX_DICTIONARY, 4096):
        values = [b"host-%d" % n for n in range(start, start + 4096)]
        column = vocabulary.column(vocabulary.codes(values))
        assert column.to_pylist() == [v.decode() for v in values]
        assert len(column.dictionary) <= MAX_DICTIONARY + 4096


@given(st.lists(texts, max_size=30))
def test_strings_take_any_bytes(values: list[bytes | None]) -> None:
    column = columns.strings(values)
    column.validate(full=True)
    assert column.to_pylist() == [None if v is None else columns.text(v) for v in values]


def test_spread_puts_values_at_their_rows_and_nulls_elsewhere() -> None:
    column = columns.spread(pa.array(["a", "b"]), [1, 3], 5)
    assert column.to_pylist() == [None, "a", None, "b", None]
    assert columns.spread(pa.array([], pa.string()), [], 3).to_pylist() == [None] * 3


packets = st.fixed_dictionaries(
    {},
    optional={
        "action": st.none() | st.text(max_size=3),
        "src_port": st.none() | st.integers(0, 65535),
        "length": st.none() | st.integers(0, 2**64 - 1),
    },
)
params = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)
structured = st.dictionaries(st.text(max_size=3), params, max_size=2)


@given(st.lists(st.none() | packets, max_size=40), st.lists(st.none() | structured, max_size=40))
def test_spread_keeps_packets_and_structured_data(
    some: list[dict[str, object] | None], data: list[dict[str, dict[str, str]] | None]
) -> None:
    for values, kind in ((some, PACKET), (data, STRUCTURED_DATA)):
        if kind is STRUCTURED_DATA:
            values = [v and [(k, list(p.items())) for k, p in v.items()] for v in data]
        at = [i for i, value in enumerate(values) if value is not None]
        column = columns.spread(pa.array([values[i] for i in at], kind), at, len(values))
        column.validate(full=True)
        assert column.equals(pa.array(values, kind))


def test_vectors_are_null_where_absent() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = columns.vectors(values, np.array([True, False, True]))
    column.validate(full=True)
    assert column.to_pylist() == [[0.0, 1.0], None, [4.0, 5.0]]


def test_word_lists_hold_the_words_whose_flag_is_set() -> None:
    flags = np.array([[True, False, True], [False, False, False], [False, True, False]])
    column = columns.word_lists(flags, pa.array(["x", "y", "z"]))
    column.validate(full=True)
    assert column.to_pylist() == [["x", "z"], [], ["y"]]
