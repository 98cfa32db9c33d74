"""A few articles to train on."""

from pathlib import Path

import pytest
from tiny_models import articles_table, newswire_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    articles_table(folder / "train.parquet", newswire_rows(12))
    articles_table(folder / "validation.parquet", newswire_rows(4, "validation"))
    return folder
