"""Tags that change midway are compared with ffmpeg's frames in test_container.py."""

from pathlib import Path

import av
import numpy as np
import pytest

from actreel.video.container import opened
from actreel.video.decode import probe
from tests.films import FILMS, pictures

AS_UNSPECIFIED, AS_BT2020 = (3, 8, *range(11, 18)), (10,)
"""Values of AVColorSpace that FFmpeg 8 does not convert, and what ffmpeg 5 takes them for."""


def test_every_matrix_is_converted(tmp_path: Path) -> None:
    path = FILMS["h264.mp4"](tmp_path / "film.mp4", 0)
    with opened(path) as film:
        frame = next(film.frames())
        for matrices, known in ((AS_UNSPECIFIED, 2), (AS_BT2020, 9)):
            frame.colorspace = known
            expected = film.to_rgb(frame)
            for matrix in matrices:
                frame.colorspace = matrix
                np.testing.assert_array_equal(film.to_rgb(frame), expected)


def test_a_turn_is_read_beside_data_of_a_kind_that_pyav_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "camera.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("tiff", rate=25, width=80, height=40, pix_fmt="rgb24")  # its frames have EXIF
        stream.set_display_rotation(90)
        for picture in pictures(2, 40, 80):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as film, pytest.raises(ValueError, match="is not a valid Type"):
        next(film.decode(video=0)).side_data.get("DISPLAYMATRIX")
    assert (probe(path).width, probe(path).height) == (40, 80)
