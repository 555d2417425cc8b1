"""A data set as a task: each target is a split of its rows, of which none is both learnt and scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from archab.errors import ArchabError, explain

READERS: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
PAIRS = (("data", "target"), ("inputs", "outputs"), ("x", "y"), ("X", "y"))  # as loaders and people name them


@dataclass(frozen=True, eq=False)
class DataSet:
    """Rows of inputs and outputs, split anew for each target; see `archab.targets.task.Task`.

    Attributes:
        data: a file (.csv, .parquet, .npz), a pair of arrays, a mapping of them such as scikit-learn's loaders give, or
            a torch Dataset of such pairs.
        outputs: in a table the column, or list of columns, to predict; in an .npz or a mapping the name of the array.
        inputs: the same of the inputs; in a table all other columns by default.
        standardise: whether each coordinate of the inputs has mean 0 and variance 1 over the training rows; else whole
            numbers stay so, for networks that begin with an embedding.
        name: what a verdict calls it.

    Raises:
        ArchabError: if it cannot be read, is no such pair, lacks values, holds text or has less than four rows.

    Example:
        >>> rows = DataSet(([[0.0], [1.0], [2.0], [3.0]], [1, 0, 1, 0]), name="four rows")
        >>> rows.rows, rows.drawn
        (4, False)
        >>> x, y = rows.draw(3, 1, None, torch.Generator().manual_seed(0))
        >>> x.shape, x[:3].mean().abs().item() < 1e-6
        (torch.Size([4, 1]), True)
    """

    data: Any
    outputs: Any = None
    inputs: Any = None
    standardise: bool = True
    name: str = ""

    def __post_init__(self) -> None:
        own = Path(self.data).stem if isinstance(self.data, str | Path) else "the data set"
        object.__setattr__(self, "name", self.name or own)
        x, y = self._tensors
        if len(x) != len(y):
            raise ArchabError(f"target.data: {self.name} has {len(x):,} inputs and {len(y):,} outputs, not as many")
        if len(x) < 4:
            raise ArchabError(f"target.data: {self.name} has {len(x)} rows; at least 4 are needed to split")
        if bool((y == y[:1]).all()):
            raise ArchabError(
                f"target.data: all outputs of {self.name} are {y.flatten()[0].item():g}; nothing to learn"
            )

    @property
    def drawn(self) -> bool:
        """Splits are of one data set."""
        return False

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._tensors[0])

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor] | None, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`.

        Raises:
            ArchabError: if there are fewer rows.
        """
        if training + heldout > self.rows:
            raise ArchabError(
                f"samples={training} (whole mini-batches), heldout_samples={heldout}: {self.name} has "
                f"{self.rows:,} rows, and none may be both; together at most so many, such as "
                f"samples={self.rows - self.rows // 5} heldout_samples={self.rows // 5}"
            )
        at = torch.randperm(self.rows, generator=generator)[: training + heldout]
        x, y = (t[at] for t in self._tensors)
        if self.standardise:
            std, mean = torch.std_mean(x[:training].double(), 0, correction=0)
            x = ((x - mean) / std.where(std > 1e-12, 1.0)).float()
        return x, y

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor]:
        x, y = self._arrays()
        return _tensor(x, self.name, "inputs"), _tensor(y, self.name, "outputs")

    def _arrays(self) -> tuple[Any, Any]:
        data: Any = self.data
        if isinstance(data, str | Path):
            data = self._read(Path(data))
        if isinstance(data, pd.DataFrame):
            return self._columns(data)
        if isinstance(data, Mapping):
            return self._named(data)
        if isinstance(data, tuple | list) and len(data) == 2:
            return data[0], data[1]
        if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
            try:
                pairs = [data[i] for i in range(len(data))]
                x, y = (np.stack([np.asarray(pair[k]) for pair in pairs]) for k in range(2))
            except Exception as error:
                raise ArchabError(
                    f"target.data: items of {self.name} are no pairs of arrays ({explain(error)})"
                ) from error
            return x, y
        raise ArchabError(
            f"target.data: a {type(data).__name__} is no data set; a file (.csv, .parquet, .npz), a pair of arrays, a "
            "mapping of them or a torch Dataset is needed"
        )

    def _read(self, file: Path) -> Any:
        if not file.is_file():
            raise ArchabError(f"target.data={file}: no such file, seen from {Path.cwd()}")
        if file.suffix not in (*READERS, ".npz"):
            raise ArchabError(f"target.data={file}: a file that ends in {', '.join(READERS)} or .npz is needed")
        try:
            if file.suffix == ".npz":
                with np.load(file, allow_pickle=False) as held:
                    return dict(held)
            return READERS[file.suffix](file)
        except Exception as error:  # pandas and pyarrow raise many kinds
            raise ArchabError(f"target.data={file}: cannot be read ({explain(error)})") from error

    def _columns(self, table: pd.DataFrame) -> tuple[Any, Any]:
        if self.outputs is None:
            raise ArchabError(
                f"target.outputs: the column of {self.name} to predict is needed, one of {', '.join(map(str, table))}"
            )
        if table.columns.has_duplicates:
            twice = table.columns[table.columns.duplicated()][0]
            raise ArchabError(f"target.data: {self.name} has more than one column {twice}")
        wanted = _listed(self.outputs)
        given = [column for column in table if column not in wanted] if self.inputs is None else _listed(self.inputs)
        for key, columns in (("outputs", wanted), ("inputs", given)):
            for column in columns:
                if column not in table:
                    raise ArchabError(
                        f"target.{key}: {self.name} has no column {column}. There are {', '.join(map(str, table))}"
                    )
                values = table[column]
                if missing := int(values.isna().sum()):
                    raise ArchabError(
                        f"target.{key}: column {column} of {self.name} lacks {missing:,} of {len(values):,} values; "
                        "drop or fill those rows first"
                    )
                if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
                    raise ArchabError(
                        f"target.{key}: column {column} of {self.name} holds text ({str(values.iloc[0])!r}); numbers "
                        "are needed, of classes their index 0, 1, …"
                    )
        if not given:
            raise ArchabError(f"target.inputs: {self.name} has no column beside {', '.join(map(str, wanted))}")
        x, y = (_numbers(table[columns]) for columns in (given, wanted))
        return x, y if isinstance(self.outputs, Sequence) and not isinstance(self.outputs, str) else y[:, 0]

    def _named(self, data: Mapping[str, Any]) -> tuple[Any, Any]:
        pairs = [(str(self.inputs), str(self.outputs))] if self.inputs and self.outputs else PAIRS
        for x, y in pairs:
            if x in data and y in data:
                return data[x], data[y]
        raise ArchabError(
            f"target.inputs, target.outputs: {self.name} has no {' or '.join(f'{x} and {y}' for x, y in pairs)}. "
            f"There are {', '.join(map(str, data))}"
        )


def _listed(columns: Any) -> list[Any]:
    """Columns by their names, one or several; a name may be a number."""
    return list(columns) if isinstance(columns, Sequence) and not isinstance(columns, str) else [columns]


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """Columns of numbers and of true and false as one array: of whole numbers where all of them are."""
    whole = all(pd.api.types.is_integer_dtype(kind) or pd.api.types.is_bool_dtype(kind) for kind in table.dtypes)
    return table.astype("int64" if whole else "float64").to_numpy()


def _tensor(values: Any, name: str, what: str) -> Tensor:
    if isinstance(values, pd.DataFrame | pd.Series):
        frame = values if isinstance(values, pd.DataFrame) else values.to_frame()
        plain = all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes) and not frame.isna().any().any()
        values = _numbers(frame).reshape(values.shape) if plain else values.to_numpy()
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    except ValueError as error:
        raise ArchabError(f"target.{what}: {name} is no array ({explain(error)})") from error
    if array.dtype.kind not in "fiub":
        raise ArchabError(f"target.{what}: {name} holds {array.dtype}; numbers are needed, of classes the index")
    if array.dtype.kind == "f" and (wrong := int((~np.isfinite(array)).sum())):
        raise ArchabError(f"target.{what}: {name} lacks {wrong:,} of {array.size:,} values (NaN or infinite)")
    return torch.from_numpy(np.ascontiguousarray(array.astype(np.float32 if array.dtype.kind == "f" else np.int64)))
