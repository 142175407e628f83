"""Equations as MathML, which browsers draw by themselves: no network, no fonts, no script.

docutils turns LaTeX into MathML and refuses a command that it does not know, so that a misspelt equation fails the
build. What it leaves otherwise than LaTeX does is repaired here, before (`spell`) and after (`repair`) its work.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

LOGGER = logging.getLogger(__name__)
MATHML = "http://www.w3.org/1998/Math/MathML"
ACCENTS = set("~^ˆˇˉ¯_.˙¨→ˊˋ˘")
FENCES = set("([{|‖⟨⌊⌈")
THIN_SPACE = "0.1667em"

ET.register_namespace("", MATHML)


def to_mathml(latex: str, as_block: bool = False) -> str:
    """The MathML of an equation."""
    root = ET.fromstring(tex2mathml(spell(latex), as_block).replace("&ApplyFunction;", "\u2061"))
    repair(root)
    return ET.tostring(root, encoding="unicode")


def spell(latex: str) -> str:
    r"""The same equation in the commands that docutils knows: ``\frac12``, ``\dots``, ``\big(``."""
    latex = re.sub(r"\\([dt]?frac)\s*(\w)\s*(\w)", r"\\\1{\2}{\3}", latex)
    latex = re.sub(r"\\dots(?![a-z])", r"\\ldots", latex)
    sides = {"(": "l", "[": "l", r"\{": "l", ")": "r", "]": "r", r"\}": "r", "|": "lr", r"\|": "lr"}
    seen = dict.fromkeys(sides, 0)

    def sided(found: re.Match[str]) -> str:
        size, delimiter = found.groups()
        side = sides[delimiter][seen[delimiter] % len(sides[delimiter])]
        seen[delimiter] += 1
        return rf"\{size}{side}{delimiter}"

    return re.sub(r"\\([bB]igg?)(?![a-zA-Z])\s*(\\[{}|]|[][()|])", sided, latex)


def repair(node: ET.Element) -> None:
    """Place scripts and spaces below `node` as LaTeX does."""
    for child in node:
        repair(child)
    for i, child in enumerate(node):
        node[i] = scripted(child)
    for i, child in enumerate(node):
        space(child, node, i)


def scripted(node: ET.Element) -> ET.Element:
    """Scripts of an accented letter beside it, where docutils sets them below the letter."""
    if name(node) == "munderover" and node[2].text in ACCENTS:
        base, script, accent = node
        return element("msub", element("mover", base, accent, accent="true"), script)
    if name(node) == "msup" and name(node[0]) == "msub":
        return element("msubsup", *node[0], node[1])
    return node


def space(node: ET.Element, parent: ET.Element, i: int) -> None:
    """Spaces around a function's name and within bars; fences that grow only where LaTeX says so."""
    follower = parent[i + 1] if i + 1 < len(parent) else None
    opens = follower is not None and first_text(follower) in FENCES
    if node.text == "\u2061" and follower is not None and not opens and name(follower) != "mspace":
        node.tag, node.text = f"{{{MATHML}}}mspace", None
        node.set("width", THIN_SPACE)
    if is_function(node):
        if i == 0 or first_text(parent[i - 1]) in FENCES:
            node.set("lspace", "0")
        if opens:
            node.set("rspace", "0")
    if node.text in ("|", "‖"):
        node.set("lspace", "0")
        node.set("rspace", "0")
    if node.text in ("{", "}", "|", "‖") and not (name(parent) == "mrow" and i in (0, len(parent) - 1)):
        node.set("stretchy", "false")


def name(node: ET.Element) -> str:
    """The tag without its namespace."""
    return node.tag.rpartition("}")[2]


def is_function(node: ET.Element) -> bool:
    """Whether it is an operator with a name, such as min, which docutils spaces like +."""
    return name(node) == "mo" and len(node.text or "") > 1 and node.text.isalpha()


def first_text(node: ET.Element) -> str:
    """The first character that a reader sees of `node`."""
    return "".join(node.itertext()).strip()[:1] or " "


def element(tag: str, *children: ET.Element, **attributes: str) -> ET.Element:
    """A MathML element."""
    made = ET.Element(f"{{{MATHML}}}{tag}", attributes)
    made.extend(children)
    return made


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an equation in a line."""
    translator.body.append(converted(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write an equation of its own, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math-block"))
    translator.body.append(converted(node, as_block=True))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def converted(node: nodes.Element, as_block: bool) -> str:
    """The MathML of a node; a warning where docutils does not understand it."""
    try:
        return to_mathml(node.astext(), as_block)
    except (MathError, ET.ParseError) as error:
        LOGGER.warning("equation %r: %s", node.astext(), error, location=node)
        return ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
