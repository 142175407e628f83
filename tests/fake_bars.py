"""Progress bars that are kept instead of drawn."""

from __future__ import annotations

from typing import Any


class FakeBar:
    """Takes what the package passes to tqdm, and checks that one bar is open at a time."""

    opened: list[FakeBar] = []

    def __init__(self, **options: Any) -> None:
        assert all(bar.closed for bar in FakeBar.opened)
        self.text, self.total, self.unit, self.line = (options[key] for key in ("desc", "total", "unit", "position"))
        self.n, self.closed, self.figures = 0, False, {}
        FakeBar.opened.append(self)

    def update(self, n: int) -> None:
        assert not self.closed
        self.n += n

    def set_postfix(self, figures: dict[str, str], refresh: bool) -> None:
        self.figures = figures

    def close(self) -> None:
        self.closed = True
