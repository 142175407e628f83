"""Frames of an animated state map drawn by matplotlib, and films of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from skseqmetric._files import replacing
from skseqmetric._ops.progress import tracked
from skseqmetric.inspection._state_drawing import INCHES, outside_legend, state_axes
from skseqmetric.inspection._state_stages import Stages

_HOLD = 1.5  # seconds that the last stage stays longer than the others
_N_GREYS, _N_SHADES = 16, 60  # of a palette: 16 + 4 x 60 = 256
_BAR = {"done": "#555555", "to do": "#DDDDDD"}
_BAR_PLACE = (0.0, -0.1, 1.0, 0.025)  # below the map, in shares of its axes


class StageDrawing:
    """The axes of a map. Every stage places and colours the points anew; everything else stays the same."""

    def __init__(self, stages: Stages, ax: Any) -> None:
        self.stages = stages
        self.codes = stages.codes
        self.ax = state_axes(ax, stages.method, f"{stages.value_name} over the stages of learning")
        self.ax.xaxis.labelpad = 2
        self.ax.margins(0)  # the extent includes a margin
        self.ax.update_datalim(stages.extent.T)
        self.ax.autoscale_view()
        self.area = float(np.clip(30000 / len(stages.points[0]), 5, 30))
        self.scatters = self._legend() if stages.colours.categories else [self._scale()]
        self.bar = self._progress_bar()

    def _scale(self) -> Any:
        from matplotlib.colors import LinearSegmentedColormap

        colours = self.stages.colours
        cmap = LinearSegmentedColormap.from_list("stages", colours.colours)
        limits = {"vmin": colours.low, "vmax": colours.high}
        points = self.ax.scatter([], [], c=[], s=self.area, cmap=cmap, linewidths=0, **limits)
        self.ax.figure.colorbar(points, ax=self.ax, label=self.stages.value_name, extend=colours.beyond)
        return points

    def _legend(self) -> list[Any]:
        """Draw one set of points for every category; rare categories lie on top in all frames."""
        colours = self.stages.colours
        counts = np.bincount(np.concatenate(self.codes), minlength=len(colours.names))
        ranks = np.argsort(np.argsort(-counts, kind="stable")) / len(counts)
        scatters = [
            self.ax.scatter([], [], s=self.area, c=colour, marker=marker, linewidths=0, label=name, zorder=2 + rank)
            for name, (colour, marker), rank in zip(colours.names, colours.looks, ranks, strict=True)
        ]
        outside_legend(self.ax, scatters, self.stages.value_name)
        return scatters

    def _progress_bar(self) -> Any:
        axes = self.ax.inset_axes(_BAR_PLACE)
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        axes.set_facecolor(_BAR["to do"])
        axes.spines[:].set_visible(False)
        return axes.barh(0.5, 0, height=1, color=_BAR["done"])[0], axes.set_xlabel(" ", fontsize="large", weight="bold")

    def show(self, frame: int) -> None:
        """Place and colour the points of that stage, and move the bar."""
        points, codes = self.stages.points[frame], self.codes[frame]
        if self.stages.colours.categories:
            for k, scatter in enumerate(self.scatters):
                scatter.set_offsets(points[codes == k])
        else:
            self.scatters[0].set_offsets(points)
            self.scatters[0].set_array(codes)
        n_frames = len(self.stages.names)
        bar, text = self.bar
        bar.set_width((frame + 1) / n_frames)
        text.set_text(f"{self.stages.names[frame]}   ({frame + 1} of {n_frames})")

    def picture(self, frame: int) -> np.ndarray:
        """Return the pixels of that stage, (height, width, 3) of uint8; the figure has a canvas of Agg."""
        self.show(frame)
        canvas = self.ax.figure.canvas
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def save_film(stages: Stages, path: Path, fps: float, dpi: float) -> None:
    """Write all frames to a GIF or a video; `StateAnimation.save_gif` describes the parameters."""
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise ValueError(f"path={str(path)!r} must end in .gif or .mp4; an interactive page is written by save_html.")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('A film needs matplotlib: pip install "skseqmetric[viz]".') from error
    figure = Figure(figsize=INCHES, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    drawing = StageDrawing(stages, figure.subplots())
    drawing.show(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # otherwise the text below the map would move the map
    frames = tracked(range(len(stages.names)), "drawing", len(stages.names), "frame")
    (_save_gif if suffix == ".gif" else _save_mp4)(drawing, path, fps, frames)


def _save_gif(drawing: StageDrawing, path: Path, fps: float, frames: Iterable[int]) -> None:
    """Write all frames with one palette.

    matplotlib's PillowWriter chooses a palette for each frame: of the pixels that are not white and should stay the
    same, 45 % change from frame to frame, and the files are half as large again.
    """
    from PIL import Image

    colours = drawing.stages.colours
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette(colours.colours, bool(colours.categories)).tobytes())
    pictures = [
        Image.fromarray(drawing.picture(frame)).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    ]
    durations = [round(1000 / fps)] * len(pictures)
    durations[-1] += round(1000 * _HOLD)
    with replacing(path) as file:
        pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _palette(colours: list[str], categories: bool) -> np.ndarray:
    """Return at most 256 colours (N, 3) of uint8: greys, and the colours of the points at four strengths."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    full = np.array([to_rgb(colour) for colour in dict.fromkeys(colours)])
    if not categories:
        full = LinearSegmentedColormap.from_list("stages", colours)(np.linspace(0, 1, _N_SHADES))[:, :3]
    greys = np.repeat(np.linspace(0, 1, _N_GREYS)[:, np.newaxis], 3, axis=1)
    blends = [1 - strength * (1 - full) for strength in (1, 0.75, 0.5, 0.25)]
    return np.round(255 * np.concatenate([greys, *blends])).astype(np.uint8)


def _save_mp4(drawing: StageDrawing, path: Path, fps: Any, frames: Iterable[int]) -> None:
    from matplotlib import rcParams
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
        raise RuntimeError(
            f"{path.name} needs the program ffmpeg, which was not found: install it and put it on the PATH, or "
            "save a .gif."
        )
    as_mp4 = [*rcParams["animation.ffmpeg_args"], "-f", "mp4"]  # the name of the file does not say it yet
    writer, last = FFMpegWriter(fps=fps, extra_args=as_mp4), len(drawing.stages.names) - 1
    with replacing(path) as file, writer.saving(drawing.ax.figure, file.name, drawing.ax.figure.dpi):
        for frame in frames:
            drawing.show(frame)
            for _ in range(1 + round(_HOLD * fps) if frame == last else 1):
                writer.grab_frame()
