"""Tables in Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.dataset_reader import DatasetReader
from hessinf.data.errors import DataError, quoted
from hessinf.data.input_file import find_file
from hessinf.data.raw_table import RawTable
from hessinf.data.table_reader import TableReader
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from pyarrow import parquet
else:
    parquet = lazy_import("pyarrow.parquet")


@DatasetReader.register("parquet")
class ParquetReader(TableReader):
    """Reads a Parquet file, an example a row. Needs `pyarrow`.

    Registered as a `DatasetReader` with name "parquet".

    Errors count rows from 0, as ids do.
    """

    def parse(self, path: str) -> RawTable:
        """Read all columns."""
        file = find_file(path)
        try:
            read_table = parquet.read_table
        except ImportError as error:
            raise DataError(
                f"{path}: Parquet files need pyarrow, which is not installed; pip install pyarrow"
            ) from error
        try:
            table = read_table(file)
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors.
            reason = str(error).splitlines()[0]
            raise DataError(f"{path} cannot be read as a Parquet file: {reason}") from error
        names = table.column_names
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{path} has the column {quoted(name)} twice")
        columns: dict[str, list[Any]] = table.to_pydict()
        return RawTable(path, columns, range(table.num_rows), noun="row")
