"""The servers of the pages answer as their models, and name what is wrong with a request."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import EchoStateClassifier
from tests.every_estimator import LABELS, X

DOCS = Path(__file__).parents[1] / "docs"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _same_threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def server_of(page: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application in the code of a page, as a client sees it."""
    pytest.importorskip("fastapi")
    client = pytest.importorskip("fastapi.testclient").TestClient
    blocks = re.findall(r"^```py\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    code = next(block for block in blocks if "FastAPI" in block)
    module = ModuleType("server")
    monkeypatch.setitem(sys.modules, "server", module)  # where FastAPI looks for the types of arguments
    exec(compile(code, page, "exec"), vars(module))
    return client(vars(module)["app"])


def model_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EchoStateClassifier:
    monkeypatch.chdir(folder)
    return EchoStateClassifier(8, random_state=0).fit(X, np.array(["rest", "walk"])[LABELS])


def assert_refused(client: Any, steps: Any, message: str) -> None:
    answer = client.post("/predict", content=json.dumps({"steps": steps}), headers=JSON)
    assert answer.status_code == 422
    assert re.search(message, str(answer.json()["detail"]))


def test_a_server_of_a_model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_in(tmp_path, monkeypatch)
    model.save("model.skm")
    client = server_of("saving.md", monkeypatch)
    for x, label in zip(X, model.predict(X), strict=True):
        assert client.post("/predict", json={"steps": x.tolist()}).json() == {"label": label}
    assert_refused(client, [[0.0, 0.0, 0.0]], "3 channel")
    assert_refused(client, [], "sequence")
    assert_refused(client, "text", "list")


@pytest.mark.slow
def test_a_server_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx"), pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    model = model_in(tmp_path, monkeypatch)
    model.export("model.onnx")
    client = server_of("exporting.md", monkeypatch)
    for x, row in zip(X, model.predict_proba(X), strict=True):
        answer = client.post("/predict", json={"steps": x.tolist()}).json()
        assert answer["label"] == model.classes_[row.argmax()]
        assert answer["probability"] == pytest.approx(row.max(), abs=1e-5)
    assert_refused(client, [[0.0, 0.0, 0.0]], "rows of 2 numbers")
    assert_refused(client, [], "rows of 2 numbers")
    assert_refused(client, [[0.0, float("inf")]], "finite")
