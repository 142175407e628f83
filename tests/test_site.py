"""The site: every public name has its page, equations and links come out right, and broken ones are noticed."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import skseqmetric
from skseqmetric.inspection import StateAnimation
from tests.browser import PROGRAM, Browser

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "html"
MODULES = ["skseqmetric", *(f"skseqmetric.{name}" for name in ("datasets", "exceptions", "inspection", "metrics"))]


def module_at(path: str) -> ModuleType:
    """A script or an extension of Sphinx, which are in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(spec.name, module)
    spec.loader.exec_module(module)
    return module


# -------------------------------------------------------------------------------------------------- the API reference


def names_of_the_reference() -> list[str]:
    """Full names in the tables of docs/api/index.rst."""
    found, module = [], ""
    for line in (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        found += [f"{module}.{line.strip()}"] if re.fullmatch(r"   \w+", line) else []
    return found


def test_the_reference_has_every_public_name_once() -> None:
    public = [
        f"{name}.{member}"
        for name in MODULES
        for member in sys.modules[name].__all__
        if not inspect.ismodule(getattr(sys.modules[name], member))
    ]
    assert Counter(names_of_the_reference()) == Counter(public)


def test_no_public_module_is_left_out() -> None:
    modules = [name for name in skseqmetric.__all__ if inspect.ismodule(getattr(skseqmetric, name))]
    assert ["skseqmetric", *(f"skseqmetric.{name}" for name in modules)] == MODULES


@pytest.fixture(scope="module")
def public_names() -> ModuleType:
    pytest.importorskip("sphinx")
    return module_at("docs/_ext/public_names.py")


def test_a_page_describes_what_the_package_wrote(public_names: ModuleType) -> None:
    members = public_names.own_members()["skseqmetric.SyncGRUMetric"]
    assert {"fit", "fit_pairs", "transform", "alignment", "predict_pairs"} <= set(members)
    assert not {"get_params", "set_params", "set_fit_request", "set_output"} & set(members)
    assert public_names.own_members()["skseqmetric.Sequences"]["n_channels"] == "property"
    assert "set_fit_request" in public_names.foreign_methods()["skseqmetric.SyncGRUMetric"]


def test_public_names_are_links_however_they_are_written(public_names: ModuleType) -> None:
    targets = public_names.link_targets()
    for name in ("step_accuracy", "metrics.step_accuracy", "skseqmetric.metrics.step_accuracy"):
        assert targets[name] == "skseqmetric.metrics.step_accuracy"
    assert targets["SyncGRUMetric.fit"] == "skseqmetric.SyncGRUMetric.fit"
    assert "fit" not in targets


# ---------------------------------------------------------------------------------------------- docstrings as they are


@pytest.fixture(scope="module")
def mathml() -> ModuleType:
    pytest.importorskip("sphinx")
    return module_at("docs/_ext/mathml.py")


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"\tfrac12 a", "(mfrac (mn 1) (mn 2)) (mi a)"),
        (r"\frac1P", "(mfrac (mn 1) (mi P))"),
        (r"\tilde x_i", "(msub (mover (mi x) (mo ~)) (mi i))"),
        (r"\hat y_{i}^2", "(msubsup (mover (mi y) (mo ^)) (mi i) (mn 2))"),
        (r"\min_q c", "(munder (mo min) (mi q)) (mi c)"),
        (r"\ln p", "(mi ln) (mspace) (mi p)"),
        (r"\cos(u)", "(mi cos) (mo) (mo () (mi u) (mo ))"),
        (r"\big| a \big|", "(mrow (mo |) (mi a) (mo |))"),
        (r"a, \dots", "(mi a) (mo ,) (mi …)"),
    ],
)
def test_equations_come_out_as_in_latex(mathml: ModuleType, latex: str, drawn: str) -> None:
    def text(node) -> str:
        inside = [(node.text or "").strip().replace("\u2061", ""), *map(text, node)]
        return f"({' '.join([mathml.name(node), *filter(None, inside)])})"

    root = mathml.ET.fromstring(mathml.to_mathml(latex))
    assert " ".join(map(text, root)).replace("ˆ", "^").replace("˜", "~") == drawn


def test_a_misspelt_equation_is_refused(mathml: ModuleType) -> None:
    with pytest.raises(mathml.MathError, match="fraq"):
        mathml.to_mathml(r"\fraq{1}{2}")


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("mean_, scale_ : ndarray", r"mean\_, scale\_ : ndarray"),
        (
            "The gap |h1 - h2| of `mean_` and ``|x|``, as in [1]_",
            r"The gap \|h1 - h2\| of `mean_` and ``|x|``, as in [1]_",
        ),
        (".. [2] L. M. Pecora, chaos", r".. [2] \L. M. Pecora, chaos"),
        ("A. Variengien, X. Hinaut", r"\A. Variengien, X. Hinaut"),
        ("n_samples_fit_ of snake_case_names", r"n_samples_fit\_ of snake_case_names"),
    ],
)
def test_docstrings_are_read_as_text(line: str, read: str) -> None:
    pytest.importorskip("sphinx")
    assert module_at("docs/_ext/plain_text.py").escaped(line) == read


def test_links_to_files_of_the_repository_lead_to_their_pages(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    docs = tmp_path / "docs"
    for name in ("docs/contributing.md", "docs/guide/dtw.md", "CONTRIBUTING.md", "setup.py", "images/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rewrite = module_at("docs/_ext/repository_links.py").rewrite
    text = "[how](../CONTRIBUTING.md#tests) [it](guide/dtw.md) [is](../setup.py) [built](https://a.b/) [x](lost.md)"
    assert rewrite(text, docs, docs) == (
        "[how](/contributing.md#tests) [it](/guide/dtw.md) is (`setup.py`) [built](https://a.b/) [x](lost.md)"
    )
    assert rewrite("![a](images/a.png) [d](docs/guide/dtw.md)", tmp_path, docs) == (
        "![a](/../images/a.png) [d](/guide/dtw.md)"
    )


# ------------------------------------------------------------------------------------------------------ the built site


@pytest.fixture
def small_site(tmp_path: Path) -> Callable[[str], list[str]]:
    """Writes a page beside another one with the place "here", and says what is wrong."""
    check = module_at(".ci/check_site.py")
    (tmp_path / "other.html").write_text('<h1 id="here">There</h1>')
    (tmp_path / "a b.png").touch()

    def faults(body: str) -> list[str]:
        check.page_at.cache_clear()
        (tmp_path / "page.html").write_text(body)
        return check.faults(tmp_path)

    return faults


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html#here">',
        '<a href="#x"></a><p id="x">',
        '<img src="a%20b.png"><img src="data:image/png;base64,AA==">',
        '<a href="https://example.org/">',
    ],
)
def test_a_whole_page_has_no_faults(body: str, small_site: Callable[[str], list[str]]) -> None:
    assert small_site(body) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="lost.html">', "lost.html leads to no file"),
        ('<a href="other.html#there">', "leads to no place in other.html"),
        ('<a href="#there">', "leads to no place in page.html"),
        ('<img src="lost.png">', "lost.png leads to no file"),
        ('<a href="../outside.html">', "leads to no file"),
        ('<script src="https://example.org/a.js"></script>', "is loaded from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "is loaded from elsewhere"),
    ],
)
def test_what_leads_nowhere_is_a_fault(body: str, fault: str, small_site: Callable[[str], list[str]]) -> None:
    (found,) = small_site(body)
    assert fault in found


# --------------------------------------------------------------------------------------------------------- in a browser

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
needs_site = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="`make docs` has not built the site")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.slow
@needs_browser
@needs_site
@pytest.mark.parametrize(
    "page", ["index.html", "api/generated/skseqmetric.SyncGRUMetric.html", "auto_examples/index.html"]
)
def test_page_opens_from_its_folder(page: str, browser: Browser) -> None:
    assert browser.faults(SITE / page) == []
    assert browser.value("document.querySelector('h1').textContent.length") > 3


@pytest.mark.slow
@needs_browser
@needs_site
def test_example_opens_from_its_folder(browser: Browser) -> None:
    examples = sorted(SITE.glob("auto_examples/plot_*.html"))
    if not examples:
        pytest.skip("the gallery is empty")
    assert browser.faults(examples[0]) == []
    assert browser.value("document.querySelectorAll('.sphx-glr-single-img, .sphx-glr-multi-img').length") > 0


@pytest.mark.slow
@needs_browser
@needs_site
def test_equations_are_drawn(browser: Browser) -> None:
    browser.load(SITE / "api" / "generated" / "skseqmetric.SyncGRUMetric.html")
    sizes = browser.value("[...document.querySelectorAll('math')].map(math => math.getBoundingClientRect().height)")
    assert len(sizes) > 5
    assert min(sizes) > 5


@pytest.mark.slow
@needs_browser
def test_a_page_of_an_animation_opens(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    rng = np.random.default_rng(0)
    points = [rng.normal(size=(length, 2)) for length in (5, 3)]
    frames = [(f"stage {i}", [rng.normal(size=len(p)) for p in points]) for i in range(3)]
    StateAnimation(points, frames).save_html(tmp_path / "states.html")
    assert browser.faults(tmp_path / "states.html") == []
    assert browser.value("document.querySelectorAll('.plot-container .main-svg').length") > 0


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>neverDefined()</script>", "neverDefined is not defined"),
        ('<img src="lost.png">', "lost.png"),
        ('<script src="lost.js"></script>', "ERR_FILE_NOT_FOUND"),
        ("<script>setTimeout(() => { throw new Error('late') }, 100)</script>", "late"),
        ('<img src="https://example.org/a.png">', "ERR_NAME_NOT_RESOLVED"),
    ],
)
def test_the_browser_sees_what_is_wrong(body: str, fault: str, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<!doctype html><body>{body}")
    assert fault in " ".join(browser.faults(tmp_path / "page.html"))
