"""Sources of a batch: folders, tables, and stores of objects."""

from pathlib import Path

import fsspec
import pyarrow
import pyarrow.parquet
import pytest

from actreel.batch.items import is_url, is_youtube, read_items
from actreel.errors import ActreelError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_with_all_below_it_and_without_what_computers_leave(tmp_path: Path) -> None:
    wanted = [tmp_path / "a.avi", tmp_path / "below" / "b c.MP4", tmp_path / "below" / "deeper" / "d.mkv"]
    left = [tmp_path / ".hidden.avi", tmp_path / "@eaDir" / "a.avi", tmp_path / "notes.txt", tmp_path / "e.mp4.part"]
    touch(*wanted, *left)
    assert read_items(str(tmp_path)) == sorted(map(str, wanted))


def test_a_table_of_paths_links_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_text(
        "id,Path,source_of_light\n"
        "1,clips/a.avi,sun\n"
        "2,,sun\n"
        '3,"clips/b, c.avi",\n'
        "4,/far/away.avi,lamp\n"
        "5,https://youtu.be/dQw4w9WgXcQ,lamp\n"
        "6,s3://bucket/e.avi,lamp\n"
        "7,clips/a.avi,moon\n",
        encoding="utf-8",
    )
    expected = [
        str(tmp_path / "clips/a.avi"),
        str(tmp_path / "clips/b, c.avi"),
        "/far/away.avi",
        "https://youtu.be/dQw4w9WgXcQ",
        "s3://bucket/e.avi",
    ]
    assert read_items(str(tmp_path / "videos.csv")) == expected
    table = pyarrow.table({"clip": ["clips/a.avi", None, "0123.avi"], "other": [1, 2, 3]})
    pyarrow.parquet.write_table(table, tmp_path / "videos.parquet")
    expected = [str(tmp_path / "clips/a.avi"), str(tmp_path / "0123.avi")]
    assert read_items(str(tmp_path / "videos.parquet"), "clip") == expected
    with pytest.raises(ActreelError, match=r"must have the column 'source', .*with 'clip', 'other'.* --column clip"):
        read_items(str(tmp_path / "videos.parquet"))
    with pytest.raises(ActreelError, match="must have the column movie"):
        read_items(str(tmp_path / "videos.parquet"), "movie")


def test_numbers_in_a_table_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_text("video\n0123\n1e5\n", encoding="utf-8")
    assert read_items(str(tmp_path / "videos.csv")) == [str(tmp_path / "0123"), str(tmp_path / "1e5")]


def test_a_store_of_objects() -> None:
    files = fsspec.filesystem("memory")
    for name in ("a.avi", "deep/b.mp4", ".trash/c.avi", "notes.txt"):
        files.pipe_file(f"/bucket/{name}", b"")
    files.pipe_file("/bucket/list.csv", b"video\ndeep/b.mp4\n")
    assert read_items("memory://bucket") == ["memory:///bucket/a.avi", "memory:///bucket/deep/b.mp4"]
    assert read_items("memory://bucket/list.csv") == ["memory:///bucket/deep/b.mp4"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing", "missing"),
        ("missing.csv", "missing.csv"),
        ("memory://no/such/folder", "no such folder"),
        ("nosuch://bucket", "nosuch"),
        ("empty", "names no video"),
        ("broken.parquet", "must be readable.*broken.parquet"),
        ("broken.csv", "must be readable.*broken.csv"),
        ("film.avi", r"actreel predict '"),
    ],
)
def test_what_is_no_batch_is_refused_in_a_sentence(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    (tmp_path / "broken.csv").write_bytes(b'video\n"a\n"b","c\n')
    touch(tmp_path / "film.avi")
    with pytest.raises(ActreelError, match=said):
        read_items(source if is_url(source) else str(tmp_path / source))


def test_of_addresses_only_youtube_s_are_links() -> None:
    assert is_youtube("https://youtu.be/dQw4w9WgXcQ")
    assert not is_youtube("https://example.org/film.mp4")
    assert not is_youtube("s3://bucket/film.mp4")
    assert not is_youtube("/clips/film.mp4")


def test_addresses_and_paths_are_told_apart() -> None:
    assert is_url("s3://bucket/clips")
    assert is_url("simplecache::s3://bucket/clips")
    assert not is_url("C:/clips")
    assert not is_url("clips/a: b//c.avi")
