"""The script of the page "From tables to a model": few lines, and the same answer for frames of pandas and polars."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "your_data.md"
MOST_LINES = 15


@pytest.mark.slow
def test_a_raw_table_of_pandas_or_polars_becomes_a_served_model_in_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polars = pytest.importorskip("polars")
    monkeypatch.chdir(tmp_path)
    study, script = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[:2]
    assert len([line for line in script.splitlines() if line.strip()]) <= MOST_LINES
    made: dict[str, Any] = {}
    exec(study, made)
    answers = []
    for table in (made["table"], polars.from_pandas(made["table"])):
        names = {**made, "table": table}
        exec(script, names)
        data, model = names["data"], names["model"]
        assert len(data.X) == 36
        assert set(data.groups) == set(range(6))
        answers.append(model.predict(names["X"]).tolist())
    assert answers[0] == answers[1] == data.y.tolist()
