"""The public names of the package: links from `single backticks`, and the members on the page of a class."""

from __future__ import annotations

import importlib
import inspect
from functools import cache, cached_property
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

import skseqmetric

PACKAGE = "skseqmetric"
MODULES = (
    PACKAGE,
    *(f"{PACKAGE}.{name}" for name in skseqmetric.__all__ if inspect.ismodule(getattr(skseqmetric, name))),
)


@cache
def public_objects() -> dict[str, Any]:
    """{full name: object} of every public class, function and scorer."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    found = {
        f"{name}.{member}": getattr(module, member) for name, module in modules.items() for member in module.__all__
    }
    return {name: member for name, member in found.items() if not inspect.ismodule(member)}


@cache
def link_targets() -> dict[str, str]:
    """{name as a docstring writes it: full name}, of the public names and of `Class.method`."""
    full = list(public_objects())
    full += [f"{name}.{member}" for name, members in own_members().items() for member in members]
    return {shorter: name for name in full for shorter in endings(name)}


def endings(full_name: str) -> list[str]:
    """`skseqmetric.metrics.f`, `metrics.f` and `f`; of a method, all that hold its class."""
    parts = full_name.split(".")
    first = next(i for i in range(1, len(parts)) if ".".join(parts[: i + 1]) in public_objects())
    return [".".join(parts[i:]) for i in range(first + 1)]


@cache
def own_members() -> dict[str, dict[str, str]]:
    """{class: {member: "method" or "property"}}: what this package wrote and described for each public class."""
    classes = {name: member for name, member in public_objects().items() if inspect.isclass(member)}
    return {name: {member: kind(cls, member) for member in sorted(described(cls))} for name, cls in classes.items()}


def described(cls: type) -> set[str]:
    """Names of public members that belong to this package, by the place of their docstring."""
    names = {name for base in cls.__mro__ if is_ours(base) for name in vars(base) if not name.startswith("_")}
    return {name for name in names if kind(cls, name) and is_ours(writer(cls, name))}


def writer(cls: type, member: str) -> type:
    """The class that wrote the docstring of a member, which others may have copied."""
    bases = [base for base in cls.__mro__ if member in vars(base) and vars(base)[member].__doc__]
    same = [base for base in bases if vars(base)[member].__doc__ == vars(bases[0])[member].__doc__]
    return same[-1] if same else object


def is_ours(cls: type) -> bool:
    """Whether this package defines a class."""
    return cls.__module__.partition(".")[0] == PACKAGE


def kind(cls: type, member: str) -> str:
    """What a member is: "method", "property", or "" for what has no place on the page of its class."""
    found = inspect.getattr_static(cls, member)
    if isinstance(found, (property, cached_property)):
        return "property"
    is_method = inspect.isfunction(inspect.unwrap(found)) or isinstance(found, (classmethod, staticmethod))
    return "method" if is_method else ""


@cache
def foreign_methods() -> dict[str, list[str]]:
    """{class: public methods that it has from scikit-learn}."""
    return {
        name: [
            method
            for method, _ in inspect.getmembers(public_objects()[name], callable)
            if not method.startswith("_") and method not in own
        ]
        for name, own in own_members().items()
        if any(base.__module__.startswith("sklearn") for base in public_objects()[name].__mro__)
    }


def link_if_public(
    role: str, rawtext: str, text: str, line: int, inliner: Any, options: Any = None, content: Any = ()
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """The role of `single backticks`: a link for a public name, code for everything else."""
    code = nodes.literal(text, text, classes=["docutils", "literal", "notranslate"])
    env, called = inliner.document.settings.env, text.removesuffix("()")
    cls = ".".join(map(str, map(env.ref_context.get, ("py:module", "py:class"))))  # of the docstring, if it is one's
    target = f"{cls}.{called}" if called in own_members().get(cls, ()) else link_targets().get(called)
    if target is None:
        return [code], []
    link = addnodes.pending_xref(
        rawtext, code, refdomain="py", reftype="obj", reftarget=target, refexplicit=True, refwarn=True
    )
    link["refdoc"] = env.docname
    return [link], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role; `default_role = "public"` makes it that of single backticks."""
    app.add_role("public", link_if_public)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
