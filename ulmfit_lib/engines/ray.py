"""A classifier on Ray: each of a pool of actors reads it once, and every row keeps its columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ulmfit_lib.engines.scoring import Scorer, added_columns

if TYPE_CHECKING:
    from ray.data import Dataset

BATCH = 1024  # rows that an actor holds at a time


def predict_on_ray(
    rows: "Dataset", model: str | Path, *, text: str | Sequence[str], workers: int | None = None, cores: int = 1
) -> "Dataset":
    """Add the prediction, its confidence and each class's probability to every row of a Ray dataset.

    Ray gives no order, so let a column of ``rows`` say which row is which. What an actor that died had at hand is
    scored again by another.

    Args:
        rows: the texts, with any other columns, which are kept.
        model: folder of an exported classifier, at a path that every machine of the cluster can read.
        text: column that holds the texts, or several to be joined; where it is empty, the prediction is "".
        workers: actors; default as many as find free cores.
        cores: that each actor reserves, and threads that it scores with.

    Raises:
        DataError: no such column.
        ArtifactError: the folder holds no model that can be read.
    """
    from ray.data import ActorPoolStrategy

    columns = [text] if isinstance(text, str) else list(text)
    names = added_columns(model, rows.columns() or [], columns, "Ray dataset")
    pool = ActorPoolStrategy(size=workers) if workers else ActorPoolStrategy(min_size=1)
    scorer = {"model": str(Path(model).resolve()), "text": columns, "names": names, "threads": cores}
    return rows.map_batches(
        Scorer, fn_constructor_kwargs=scorer, batch_size=BATCH, batch_format="pyarrow", compute=pool, num_cpus=cores
    )
