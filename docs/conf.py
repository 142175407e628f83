"""How Sphinx builds the site: `make docs`. Nothing is fetched from a network."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # examples run beside each other

import matplotlib  # noqa: E402
from public_names import foreign_methods, own_members  # noqa: E402

import skseqmetric  # noqa: E402

matplotlib.use("agg")
warnings.filterwarnings("ignore", message="skseqmetric runs without its compiled recurrences")

project = "skseqmetric"
author = "The skseqmetric developers"
copyright = "the skseqmetric developers, BSD-3-Clause"
version = release = skseqmetric.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "plain_text",
    "public_names",
    "repository_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "api/backreferences"]
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(sklearn|numpy|scipy|torch|skorch|tslearn)\..*")]  # described elsewhere
default_role = "public"

# ------------------------------------------------------------------------------------------------------ API reference

autosummary_generate = True
autosummary_context = {"own_members": own_members(), "foreign_methods": foreign_methods()}
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # docstrings say types in words
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False

# -------------------------------------------------------------------------------------------------------------- pages

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_update_mathjax = False

# ------------------------------------------------------------------------------------------------------------ gallery

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "doc_module": ("skseqmetric",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"skseqmetric": None},
    "remove_config_comments": True,
    "capture_repr": ("_repr_html_",),
    "parallel": True,  # as many examples at a time as `sphinx -j` says
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

# --------------------------------------------------------------------------------------------------------------- HTML

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = f"skseqmetric {release}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
_ALONE = ("getting_started", "choosing", "coming_from", "faq", "security", "contributing", "changelog", "citing")
html_sidebars: dict[str, list[str]] = {page: [] for page in _ALONE}  # they have no pages below them
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "skseqmetric",
        "alt_text": "skseqmetric: home",
        "image_light": "_static/logo-light.svg",
        "image_dark": "_static/logo-dark.svg",
    },
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
