"""A site's file, as it is written, and as somebody might write it who wants to do harm."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import ActreelError
from actreel.federation.parts import Part
from actreel.federation.site_file import About, Made, PartAbout, Site, differences, read_site, write_site

MADE = Made(
    encoder="efficientnet_lite0", weights="imagenet", settings=None, clip=ClipSpec(num_frames=4, height=8, width=8),
    steps=4, motion="none", mirror=False, mirror_as={}, code="1",
)  # fmt: skip
PARTS = (
    Part("g1", "Jump", False, 3, np.arange(4.0), np.arange(8.0).reshape(2, 4)),
    Part("g1", "Run", False, 1, np.ones(4), np.empty((0, 4))),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    described = tuple(PartAbout(group=p.group, action=p.action, mirrored=False, clips=p.clips) for p in PARTS)
    about = About(
        made=MADE, labels=("Jump", "Run"), parts=described, named=True, clip_duration_s=2.0, noise=None
    )  # fmt: skip
    return write_site(about, PARTS, tmp_path / "site.npz")


def test_what_is_written_is_read_again(site: Site, tmp_path: Path) -> None:
    found = read_site(tmp_path / "site.npz")
    assert (found.name, found.sha256, found.about) == (site.name, site.sha256, site.about)
    assert (found.clips, found.groups, found.features) == (4, ["g1"], 4)
    for ours, theirs in zip(found.parts, PARTS, strict=True):
        np.testing.assert_array_equal(ours.mean, theirs.mean)
        np.testing.assert_array_equal(ours.factor, theirs.factor)
    again = write_site(found.about, found.parts, tmp_path / "again.npz")
    assert again.sha256 == site.sha256, "the same sums are the same file"


def test_what_differs_is_named() -> None:
    other = MADE.model_copy(update={"code": "2", "clip": ClipSpec(num_frames=4, height=9, width=8)})
    assert differences(MADE, MADE) == []
    assert differences(MADE, other) == ["height 8 and 9", "code '1' and '2'"]


Change = Callable[[dict[str, bytes]], Any]


def member(array: NDArray[Any], **header: Any) -> bytes:
    """An array as NumPy stores it; `header` says something else of it."""
    file = io.BytesIO()
    if not header:
        np.save(file, array, allow_pickle=True)
        return file.getvalue()
    told = np.lib.format.header_data_from_array_1_0(array) | header
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue() + array.tobytes()


def about(**changes: Any) -> Change:
    def change(members: dict[str, bytes]) -> None:
        described = json.loads(np.load(io.BytesIO(members["about.npy"])).tobytes())
        text = json.dumps(described | changes).encode()
        members["about.npy"] = member(np.frombuffer(text, np.uint8))

    return change


def put(name: str, content: bytes) -> Change:
    return lambda members: members.update({name: content})


class Evil:
    """Would leave a file behind if it were loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path("pwned").touch, ()


PART = {"group": "g1", "action": "Run", "mirrored": False, "clips": 1, "seen": []}
HOSTILE = {
    "a pickle": (put("means.npy", member(np.array([Evil()], dtype=object))), "means.npy must be float64"),
    "a bare pickle": (put("means.npy", pickle.dumps(Evil())), "damaged"),
    "one member more": (put("more.npy", b""), "nothing else"),
    "a shape beyond the bytes": (
        put("means.npy", member(np.ones((2, 4)), shape=(2, 10**15))), r"says \(2, 1000000000000000\), and holds 64"
    ),
    "a negative shape": (put("means.npy", member(np.ones((2, 4)), shape=(-2, -4))), "damaged|must|factors"),
    "floats of half the size": (put("means.npy", member(np.ones((2, 4), np.float32))), "must be float64"),
    "another order": (put("means.npy", member(np.asfortranarray(np.ones((2, 4))))), "must be float64"),
    "no number": (put("means.npy", member(np.full((2, 4), np.nan))), "numbers must be finite"),
    "numbers that drown the others'": (put("factors.npy", member(np.full((2, 4), 1e9))), "at most 1e"),
    "factors of more clips": (put("factors.npy", member(np.ones((3, 4)))), r"must be \(2, 4\), and are \(3, 4\)"),
    "one part fewer": (put("means.npy", member(np.ones((1, 4)))), "must be 2 parts"),
    "no features": (put("means.npy", member(np.ones((2, 0)))), "features each"),
    "no JSON": (put("about.npy", member(np.frombuffer(b"{", np.uint8))), "description: Invalid JSON"),
    "JSON without an end": (put("about.npy", member(np.frombuffer(b"[" * 100_000, np.uint8))), "Invalid JSON"),
    "another format": (about(format=2), "format: Input should be 1"),
    "an unknown field": (about(run="rm"), "run: Extra inputs"),
    "labels twice": (about(labels=["Jump", "Jump", "Run"]), "sorted, each once"),
    "a part twice": (about(parts=[PART, PART]), "each part must be there once"),
    "an unknown action": (about(parts=[PART, PART | {"action": "Fly"}]), "show one of the labels"),
    "a control character": (about(labels=["Jump\x1b[2J", "Run"]), "labels.0: String should match"),
    "no clips": (about(parts=[PART | {"clips": 0}]), "parts.0.clips: Input should be greater"),
    "a billion clips": (about(parts=[PART | {"clips": 10**9}]), "parts.0.clips: Input should be less"),
    "more clips than memory": (
        lambda members: (
            about(parts=[PART | {"clips": 10**6}])(members), members.update({"means.npy": member(np.ones((1, 600)))})
        ),
        "at most 500,000,000 features, and have 600,000,000",
    ),
    "no digest": (about(parts=[PART | {"seen": ["../x"]}]), "parts.0.seen.0: String should match"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    change, said = HOSTILE[case]
    with zipfile.ZipFile("site.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile("bad.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ActreelError, match=said) as refused:
        read_site(Path("bad.npz"))
    assert "'bad.npz'" in str(refused.value)
    assert "actreel stats FOLDER --out FILE.npz" in str(refused.value)
    assert not Path("pwned").exists()


def test_compressed_and_unreadable_files_are_refused(site: Site, tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "bomb.npz", about=np.zeros(10**6, np.uint8), means=np.ones((1, 1)), factors=np.ones((1, 1))
    )
    for name, content, said in (
        ("bomb.npz", None, "about.npy must not be compressed"),
        ("cut.npz", (tmp_path / "site.npz").read_bytes()[:-30], "damaged"),
        ("text.npz", b"hello", "damaged"),
        ("none.npz", None, "is missing"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ActreelError, match=said):
            read_site(tmp_path / name)
