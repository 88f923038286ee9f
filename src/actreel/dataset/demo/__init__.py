"""The demo dataset: seeded drawings of moving people, written as real videos.

It stands in for UCF50 where there is no network or no time to download 3 GB: it has the same folders and file names,
groups that are one performer in one scene, and motions that a small network learns within a minute. Each pair of
actions in `ORDERED_PAIRS` shows the same frames in opposite order, so accuracy shows whether a model has learned time.

    render_demo(Path("artifacts/videos"))  # 480 clips of 48 performers in 10 actions, 48 of no action, about 10 s

A motion is a list of key poses (`motions`); `play` turns it into one pose a frame for a performer (`performers`);
`film` places the joints in the scene and draws each frame; `render` writes the videos. Images are uint8 BGR, as OpenCV
draws and writes them.
"""

from actreel.dataset.demo.motions import ACTIONS, ORDERED_PAIRS
from actreel.dataset.demo.render import render_demo

__all__ = ["ACTIONS", "ORDERED_PAIRS", "render_demo"]
