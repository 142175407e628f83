"""Run in an environment that has the wheel but not the source: python check_wheel.py FILE.whl [--without-kernels]."""

from __future__ import annotations

import sys
import warnings
import zipfile
from importlib import metadata
from pathlib import Path

import skseqmetric
from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._ops import compiled
from skseqmetric.datasets import load_japanese_vowels


def require(fact: bool, otherwise: str) -> None:
    """Exit with `otherwise` unless `fact`."""
    if not fact:
        sys.exit(f"the wheel is not right: {otherwise}")


home = Path(skseqmetric.__file__).resolve().parent
require(home.is_relative_to(Path(sys.prefix).resolve()), f"imported from {home}")
require(metadata.version("skseqmetric") == skseqmetric.__version__, "metadata has another version")
require((home / "py.typed").is_file(), "py.typed is missing")

with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
roots = {name.split("/")[0] for name in names}
info = f"skseqmetric-{skseqmetric.__version__}.dist-info"
require(roots == {"skseqmetric", info}, f"it holds {sorted(roots)}")
require(f"{info}/licenses/LICENSE" in names, "LICENSE is missing")
require(any("datasets/data/" in name and "licen" in name.lower() for name in names), "the data have no licence")

without = "--without-kernels" in sys.argv
require(without != any(name.endswith("compiled/recurrence.binary") for name in names), "the compiled kernels")
require(without != (compiled.obstacle() is None), f"the compiled kernels: {compiled.obstacle()}")
require(not any(name.endswith((".cpp", ".h", ".inc")) for name in names), "it holds C++ sources")

train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
require((len(train.data), len(test.data)) == (270, 370), "the data are not complete")
model = SequenceKNeighborsClassifier(
    SyncGRUMetric(n_units=8, coupling=None, max_epochs=3, random_state=0), n_neighbors=1
)
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    accuracy = model.fit(train.data, train.target).score(test.data[:50], test.target[:50])
spoken = [str(w.message) for w in heard if "compiled recurrences" in str(w.message)]
require(len(spoken) == without, f"it warns of missing kernels {len(spoken)} times")
require(accuracy > 0.2, f"accuracy {accuracy:.2f} after three epochs")
print(f"{sys.argv[1]}: installs, imports, holds its data and licences, and learns")
