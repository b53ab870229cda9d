"""Reading a stream file, whole or cut short: what is complete in it, and under which labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sinks import explained
from pipeline.sinks.messages import DICTIONARY_BATCH, SCHEMA, messages

Labels = dict[int, pa.Array]
"""Column number → the values of its dictionary (or of the dictionary inside its list)."""


class Contents(NamedTuple):
    """What can be read of a stream file, from its beginning."""

    schema: pa.Schema | None
    """None where not even that is complete."""
    batches: int
    rows: int
    first_us: int
    """UTC microseconds of the first row; 0 where there is none."""
    end: int
    """Bytes up to the end of the last complete batch, and of the end marker behind it."""
    damaged: bool
    """What follows `end` is not the beginning of a batch, as a writer that died leaves it."""
    labels: Labels
    """The values of the whole file."""
    moves: list[tuple[int, Labels]]
    """Runs of batches whose dictionaries extend one another: (first batch, column → (values of
    the run,) int32 places in `labels`, where they differ)."""


def scan(path: Path, *, check: bool) -> Contents:
    """Read through a stream file once; a fault in it ends the reading, not the caller.

    The labels of all batches are gathered first because a dictionary in the file format is best
    written once: Polars refuses deltas, and pyarrow refuses replacements. With `check` every
    value is validated (offsets, UTF-8): for files that a crash may have left with holes. Without,
    only the labels are decoded.
    Raises OSError where the file itself cannot be read.
    """
    batches = rows = first_us = end = 0
    schema = None
    runs: list[tuple[int, Labels]] = []
    faulty = False
    with pa.OSFile(str(path)) as source:
        try:
            reader = _reader(source)
            end = source.tell()
            received = reader.schema.get_field_index("received_at")
            faulty = received < 0
            schema = None if faulty else reader.schema
            columns = list(range(len(reader.schema)))
            if not check and not faulty:
                fields = list(reader.schema)
                columns = [i for i in columns if i == received or _has_labels(fields[i])]
                received = columns.index(received)
                source.seek(0)
                reader = _reader(source, columns)
            seen = replaced = -1
            while not faulty:
                batch = reader.read_next_batch()
                if check:
                    batch.validate(full=True)
                stats = reader.stats
                if seen != stats.num_dictionary_batches:
                    seen = stats.num_dictionary_batches
                    if replaced != stats.num_replaced_dictionaries:
                        replaced = stats.num_replaced_dictionaries
                        runs.append((batches, {}))
                    runs[-1] = (runs[-1][0], _labels(columns, batch))
                if rows == 0 and batch.num_rows:
                    first_us = batch.column(received)[0].value
                batches += 1
                rows += batch.num_rows
                end = source.tell()
                del batch  # or two are held while the next is read
        except StopIteration:
            end = source.tell()
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise explained(error, path) from error
            faulty = not _cut_short(path, end)
    labels, moves = _united(runs)
    return Contents(schema, batches, rows, first_us, end, faulty, labels, moves)


def relabelled(path: Path, contents: Contents) -> Iterator[pa.RecordBatch]:
    """The complete batches, in order, all with the dictionaries of the whole file."""
    moves = dict(contents.moves)
    move: Labels = {}
    with pa.OSFile(str(path)) as source:
        reader = _reader(source)
        for number in range(contents.batches):
            batch = reader.read_next_batch()
            move = moves.get(number, move)
            columns = batch.columns
            for i, values in contents.labels.items():
                columns[i] = _with_labels(columns[i], values, move.get(i))
            batch = pa.RecordBatch.from_arrays(columns, schema=contents.schema)
            del columns
            yield batch
            del batch  # as above


def _reader(source: pa.NativeFile, columns: Sequence[int] = ()) -> pa.RecordBatchStreamReader:
    """Of these columns alone, or of all."""
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=list(columns))
    return pa.ipc.open_stream(source, options=options)


def _has_labels(field: pa.Field) -> bool:
    inner = field.type.value_type if pa.types.is_list(field.type) else field.type
    return bool(pa.types.is_dictionary(inner))


def _labels(columns: Sequence[int], batch: pa.RecordBatch) -> Labels:
    found: Labels = {}
    for i, field, column in zip(columns, batch.schema, batch.columns, strict=True):
        if _has_labels(field):
            inner = column.values if pa.types.is_list(column.type) else column
            found[i] = inner.dictionary
    return found


def _united(runs: list[tuple[int, Labels]]) -> tuple[Labels, list[tuple[int, Labels]]]:
    labels: Labels = {}
    moves: list[tuple[int, Labels]] = [(first, {}) for first, _ in runs]
    for i in runs[0][1] if runs else ():
        labels[i] = pc.unique(pa.chunked_array([of_run[i] for _, of_run in runs]))
        for (_, of_run), (_, move) in zip(runs, moves, strict=True):
            # The union begins with the first run's values, so most runs keep their codes.
            if not of_run[i].equals(labels[i][: len(of_run[i])]):
                move[i] = pc.index_in(of_run[i], value_set=labels[i])
    return labels, moves


def _with_labels(column: pa.Array, values: pa.Array, move: pa.Array | None) -> pa.Array:
    if pa.types.is_list(column.type):
        inner = _with_labels(column.values, values, move)
        return pa.ListArray.from_arrays(column.offsets, inner, type=column.type)
    codes = column.indices if move is None else move.take(column.indices)
    return pa.DictionaryArray.from_arrays(codes, values, safe=False)


def _cut_short(path: Path, end: int) -> bool:
    """Whether the file stops before the record batch that should follow `end` is complete."""
    with path.open("rb") as file:
        try:
            return all(m.kind in (SCHEMA, DICTIONARY_BATCH) for m in messages(file, end))
        except EOFError:
            return True
        except ValueError:
            return False
