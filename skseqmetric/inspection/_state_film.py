"""Frames of an animated state map drawn by matplotlib, and films of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from skseqmetric.inspection._state_drawing import INCHES, outside_legend, state_axes

if TYPE_CHECKING:
    from skseqmetric.inspection._state_animation import StateAnimation

_HOLD = 1.5  # seconds that the last stage stays longer before a film begins again
_N_GREYS, _N_SHADES = 16, 60  # of a palette: 16 + 4 x 60 = 256
_BAR = {"done": "#555555", "to do": "#DDDDDD"}
_BAR_PLACE = (0.0, -0.1, 1.0, 0.025)  # below the map, in parts of its axes


class StageDrawing:
    """The axes of a map whose points are put and coloured anew for every stage; all else stays where it is."""

    def __init__(self, animation: StateAnimation, ax: Any) -> None:
        self.animation = animation
        self.colours = animation.colours()
        self.ax = state_axes(ax, animation.method, f"{animation.value_name} over the stages of learning")
        self.ax.xaxis.labelpad = 2
        self.ax.margins(0)  # the extent has its own
        self.ax.update_datalim(animation.extent().T)
        self.ax.autoscale_view()
        self.area = float(np.clip(30000 / len(animation.points_at(0)), 5, 30))
        self.scatters = self._legend() if self.colours.categories else [self._scale()]
        self.bar = self._progress_bar()

    def _scale(self) -> Any:
        from matplotlib.colors import LinearSegmentedColormap

        cmap = LinearSegmentedColormap.from_list("stages", self.colours.colours)
        limits = {"vmin": self.colours.low, "vmax": self.colours.high}
        points = self.ax.scatter([], [], c=[], s=self.area, cmap=cmap, linewidths=0, **limits)
        self.ax.figure.colorbar(points, ax=self.ax, label=self.animation.value_name, extend=self.colours.beyond)
        return points

    def _legend(self) -> list[Any]:
        """A set of points for every category, those of rare ones on top in all frames."""
        frames = range(len(self.animation.frames))
        codes = np.concatenate([self.colours.codes(self.animation.values_at(k)) for k in frames])
        counts = np.bincount(codes, minlength=len(self.colours.names))
        places = np.argsort(np.argsort(-counts, kind="stable")) / len(counts)
        scatters = [
            self.ax.scatter([], [], s=self.area, c=colour, marker=marker, linewidths=0, label=name, zorder=2 + place)
            for name, (colour, marker), place in zip(self.colours.names, self.colours.looks, places, strict=True)
        ]
        outside_legend(self.ax, scatters, self.animation.value_name)
        return scatters

    def _progress_bar(self) -> Any:
        axes = self.ax.inset_axes(_BAR_PLACE)
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        axes.set_facecolor(_BAR["to do"])
        axes.spines[:].set_visible(False)
        return axes.barh(0.5, 0, height=1, color=_BAR["done"])[0], axes.set_xlabel(" ", fontsize="large", weight="bold")

    def show(self, frame: int) -> None:
        """Put and colour the points as at that stage, and move the bar."""
        points, codes = self.animation.points_at(frame), self.colours.codes(self.animation.values_at(frame))
        if self.colours.categories:
            for k, scatter in enumerate(self.scatters):
                scatter.set_offsets(points[codes == k])
        else:
            self.scatters[0].set_offsets(points)
            self.scatters[0].set_array(codes)
        n_frames = len(self.animation.frames)
        bar, text = self.bar
        bar.set_width((frame + 1) / n_frames)
        text.set_text(f"{self.animation.frames[frame].stage}   ({frame + 1} of {n_frames})")

    def picture(self, frame: int) -> np.ndarray:
        """Pixels of that stage, (height, width, 3) of uint8; the figure has a canvas of Agg."""
        self.show(frame)
        canvas = self.ax.figure.canvas
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def save_film(animation: StateAnimation, path: Path, fps: float, dpi: float, progress: bool) -> None:
    """Write all frames to a GIF or a video; `StateAnimation.save_gif` describes it."""
    save = _saver(path)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('A film needs matplotlib: pip install "skseqmetric[viz]".') from error
    figure = Figure(figsize=INCHES, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    drawing = StageDrawing(animation, figure.subplots())
    drawing.show(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # else what is written below the map would move it
    save(drawing, path, fps, tqdm(range(len(animation.frames)), desc="frames", disable=not progress))


def _saver(path: Path) -> Callable[[StageDrawing, Path, float, Iterable[int]], None]:
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise ValueError(f"path={str(path)!r} must end in .gif or .mp4; an interactive page is written by save_html.")
    return _save_gif if suffix == ".gif" else _save_mp4


def _save_gif(drawing: StageDrawing, path: Path, fps: float, frames: Iterable[int]) -> None:
    """With one palette for all frames, so that colours do not flicker."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette(drawing.colours.colours, bool(drawing.colours.categories)).tobytes())
    pictures = [
        Image.fromarray(drawing.picture(frame)).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    ]
    durations = [round(1000 / fps)] * len(pictures)
    durations[-1] += round(1000 * _HOLD)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _palette(colours: list[str], categories: bool) -> np.ndarray:
    """At most 256 colours (N, 3) of uint8: greys, and those of the points at four strengths, for smooth edges."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    full = np.array([to_rgb(colour) for colour in dict.fromkeys(colours)])
    if not categories:
        full = LinearSegmentedColormap.from_list("stages", colours)(np.linspace(0, 1, _N_SHADES))[:, :3]
    greys = np.repeat(np.linspace(0, 1, _N_GREYS)[:, np.newaxis], 3, axis=1)
    blends = [1 - strength * (1 - full) for strength in (1, 0.75, 0.5, 0.25)]
    return np.round(255 * np.concatenate([greys, *blends])).astype(np.uint8)


def _save_mp4(drawing: StageDrawing, path: Path, fps: Any, frames: Iterable[int]) -> None:
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
        raise RuntimeError(
            f"{path.name} needs the program ffmpeg, which was not found: install it and see that it is on the PATH, or "
            "save a .gif."
        )
    writer, last = FFMpegWriter(fps=fps), len(drawing.animation.frames) - 1
    with writer.saving(drawing.ax.figure, str(path), drawing.ax.figure.dpi):
        for frame in frames:
            drawing.show(frame)
            for _ in range(1 + round(_HOLD * fps) if frame == last else 1):
                writer.grab_frame()
