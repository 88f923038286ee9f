"""What people paste as a link, and what is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from actreel.youtube.errors import YouTubeError
from actreel.youtube.links import is_link, video_id

ID = "dQw4w9WgXcQ"

LINKS = [
    f"https://www.youtube.com/watch?v={ID}",
    f"http://youtube.com/watch?v={ID}&t=42s",
    f"https://m.youtube.com/watch/?app=desktop&v={ID}#t=1",
    f"https://music.youtube.com/watch?v={ID}&list=RDAMVM{ID}",
    f"https://www.youtube.com/watch?list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI&v={ID}&index=3",
    f"https://www.youtube.com/?v={ID}",
    f"https://www.youtube.com/watch?v={ID}&v={ID}",
    f"https://youtu.be/{ID}",
    f"https://youtu.be/{ID}?si=abcdef&t=7",
    f"https://youtu.be/{ID}&t=7",
    f"https://www.youtube.com/shorts/{ID}/?feature=share",
    f"https://www.youtube.com/live/{ID}?si=abcdef",
    f"https://www.youtube.com/embed/{ID}?start=3",
    f"https://www.youtube.com/v/{ID}?version=3",
    f"https://www.youtube.com/v/{ID}&hl=en_US&fs=1",
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://youtube-nocookie.com/embed/{ID}?rel=0",
    f"https://m.youtube.com/shorts/{ID}",
    f"HTTPS://WWW.YouTube.COM/watch?v={ID}",
    f"youtu.be/{ID}",
    f"www.youtube.com/live/{ID}",
    f"m.youtube.com/watch?v={ID}",
    f"https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{ID}%26list%3DPLx%26t%3D42s",
]
AROUND = [
    ("", ""),
    ("  ", "\n"),
    ("<", ">"),
    ('"', '"'),
    ("'", "',"),
    ("`", "`"),
    ("\u201c", "\u201d."),
    ("\u00ab\u00a0", "\u00a0\u00bb"),
    ("(", ")."),
    ("[<", ">]"),
    ("", "."),
    ("", ","),
    ("", "!"),
    ("\ufeff", ""),
    ("\u200b", "\u200b"),
    ("\u202a", "\u202c"),
    ("\u200e", "\u200f"),
    ("\u2066", "\u2069"),
]
"""What stands before and after a link in chats, mails, lists of links and right-to-left text."""

INSIDE = {
    "zsh": lambda link: re.sub(r"([?=&#])", r"\\\1", link),
    "html": lambda link: link.replace("&", "&amp;"),
    "zero width": lambda link: link.replace(".", "\u200b.\u200b").replace("/", "/\u2060"),
    "soft hyphens": lambda link: link.replace("youtu", "you\u00adtu"),
}


@pytest.mark.parametrize("link", [*LINKS, ID, "jNQXAC9IVRw", "-_a0B1c2D3E"])
def test_a_link_to_one_video_gives_its_id(link: str) -> None:
    assert video_id(link) == (ID if ID in link else link)


@given(st.sampled_from([*LINKS, ID]), st.sampled_from(AROUND), st.lists(st.sampled_from(list(INSIDE)), unique=True))
@example(LINKS[1], ("<", ">"), ["zsh", "html"])
def test_what_a_chat_or_a_shell_adds_to_a_link_is_removed(
    link: str, around: tuple[str, str], inside: list[str]
) -> None:
    before, after = around
    for kind in inside:
        link = INSIDE[kind](link)
    assert video_id(before + link + after) == ID


HOSTILE = [
    # this machine and its neighbours, in every spelling
    "http://127.0.0.1/watch?v={id}",
    "http://127.1/watch?v={id}",
    "http://2130706433/watch?v={id}",
    "http://0x7f000001/watch?v={id}",
    "http://0177.0.0.1/watch?v={id}",
    "http://0/watch?v={id}",
    "http://localhost:3000/watch?v={id}",
    "http://localhost./watch?v={id}",
    "http://[::1]/watch?v={id}",
    "http://[::ffff:127.0.0.1]/watch?v={id}",
    "http://[::ffff:7f00:1]/watch?v={id}",
    "http://10.0.0.1/watch?v={id}",
    "http://172.16.0.1/watch?v={id}",
    "http://192.168.1.1/watch?v={id}",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00::1]/watch?v={id}",
    "http://[fe80::1%25eth0]/watch?v={id}",
    "http://127.0.0.1.nip.io/watch?v={id}",
    "http://[not-an-address/watch?v={id}",
    # user names, ports, dots
    "https://www.youtube.com@127.0.0.1/watch?v={id}",
    "https://www.youtube.com:pass@evil.example/watch?v={id}",
    "https://user@www.youtube.com/watch?v={id}",
    "https://@www.youtube.com/watch?v={id}",
    "https://www.youtube.com:8443/watch?v={id}",
    "https://www.youtube.com:80@evil.example/watch?v={id}",
    "https://www.youtube.com./watch?v={id}",
    "https://www.youtube.com\\@evil.example/watch?v={id}",
    "https:\\\\www.youtube.com\\watch?v={id}",
    # look-alikes
    "https://www.youtube.com.evil.example/watch?v={id}",
    "https://evil.example/www.youtube.com/watch?v={id}",
    "https://evil.example/?u=https://www.youtube.com/watch?v={id}",
    "https://evil.example#https://youtu.be/{id}",
    "https://notyoutube.com/watch?v={id}",
    "https://youtube.co/watch?v={id}",
    "https://youtube-com.example/watch?v={id}",
    "https://yout\u0443be.com/watch?v={id}",
    "https://\uff59outube.com/watch?v={id}",
    "https://xn--youtbe-3ya.com/watch?v={id}",
    "https://youtu\u3002be/{id}",
    "https://www.youtube%2ecom/watch?v={id}",
    # the other sites that yt-dlp takes for YouTube
    "https://hooktube.com/watch?v={id}",
    "https://yewtu.be/watch?v={id}",
    # redirects
    "https://www.youtube.com/redirect?q=http://127.0.0.1/&v={id}",
    "https://www.youtube.com/attribution_link?u=%2Fwatch%3Fv%3D{id}",
    "https://www.google.com/url?q=https://youtu.be/{id}",
    "https://bit.ly/abc",
    # other schemes
    "file:///etc/passwd",
    "file://www.youtube.com/watch?v={id}",
    "ftp://www.youtube.com/watch?v={id}",
    "gopher://www.youtube.com/watch?v={id}",
    "javascript:alert(1)//www.youtube.com/watch?v={id}",
    "data:text/html,{id}",
    "ytsearch:{id}",
    "//www.youtube.com/watch?v={id}",
    # more than one video, or none
    "https://www.youtube.com/playlist?list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI",
    "https://www.youtube.com/watch?list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI",
    "https://www.youtube.com/@somebody",
    "https://www.youtube.com/channel/UC_x5XG1OV2P6uZZ5FSM9Ttw/live",
    "https://www.youtube.com/results?search_query=jump",
    "https://www.youtube.com/",
    "https://www.youtube.com/watch?v=",
    "https://www.youtube.com/watch?v={id}&v=aaaaaaaaaaa",
    "https://www.youtube.com/watch?v={id}x",
    "https://www.youtube.com/watch?v=../../../etc",
    "https://www.youtube.com/watch?v=--exec=ls%20",
    "https://youtu.be/{id}/../../evil",
    "https://youtu.be/%64Qw4w9WgXcQ",
    "https://www.youtube.com/shorts/../{id}",
    "https://www.youtube.com/embed/videoseries?list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI",
    "https://www.youtube.com/embed/live_stream?channel=UC_x5XG1OV2P6uZZ5FSM9Ttw",
    "https://www.youtube.com/live/{id}/chat",
    "https://www.youtube.com/embed/{id}/../redirect",
    # look-alikes of the newer addresses
    "https://youtube-nocookie.com.evil.example/embed/{id}",
    "https://youtube-n0cookie.com/embed/{id}",
    "https://evil.m.youtube.com/watch?v={id}",
    "https://youtube\\.com/watch?v={id}",
    "https://evil.example&amp;youtube.com/watch?v={id}",
    "<https://evil.example/<https://youtu.be/{id}>>",
    "https://evil.example\u200b/youtu.be/{id}",
    # encoded whole, as in another link's parameter
    "https%3A%2F%2Fwww.youtube.com%40evil.example%2Fwatch%3Fv%3D{id}",
    "https%3A%2F%2Fwww.youtube%252ecom%2Fwatch%3Fv%3D{id}",
    "https%3A%2F%2Fyoutu.be%2F{id}%0D%0AHost%3A%20evil.example",
    # what is no link at all
    "jumpingjack",
    "my_video_04",
    "12345678904",
    "{id}{id}",
    "Look: https://youtu.be/{id}",
    "",
    "   ",
    "https://youtu.be/{id} https://evil.example",
    "https://youtu.be/{id}\r\nHost: evil.example",
    "https://youtu.be/\t{id}",
    "https://youtu.be/{id}\x00.evil.example",
    "https://\u202eyoutu.be/{id}",
    "https://youtu.be/{id}?" + "a" * 5000,
    "https://youtu.be/{id}?" + "a&" * 500_000,
]


@given(
    st.from_regex(
        r"[a-z0-9.@:%\\\\-]{0,30}(youtube(-nocookie)?\.com|youtu\.be)[a-z0-9.@:%\\\\-]{0,30}", fullmatch=True
    ),
    st.sampled_from(["/watch?v=", "/embed/", "/live/", "/v/", "/"]),
    st.sampled_from(AROUND),
)
@example("youtube.com.evil", "/embed/", ("", ""))
def test_a_host_that_only_contains_youtubes_name_is_refused(host: str, path: str, around: tuple[str, str]) -> None:
    hosts = {"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "youtu.be", "www.youtu.be"}
    assume(host not in hosts | {"youtube-nocookie.com", "www.youtube-nocookie.com"})
    with pytest.raises(YouTubeError) as refused:
        video_id(f"{around[0]}https://{host}{path}{ID}{around[1]}")
    assert refused.value.code == "not_youtube"


@pytest.mark.parametrize("link", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_link_is_refused(link: str) -> None:
    with pytest.raises(YouTubeError) as refused:
        video_id(link.replace("{id}", ID))
    assert refused.value.code in ("not_youtube", "not_one_video")
    assert "video file" in refused.value.next_step


PIECES = [
    "https://",
    "//",
    "/",
    "@",
    ":",
    "?",
    "&",
    "#",
    "[",
    "]",
    "youtu.be",
    "www.youtube.com",
    "watch",
    "v=",
    "shorts/",
    "embed/",
    "\\",
    "&amp;",
    "\u200b",
    "<",
    ID,
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=8).map("".join)))
@example("http://[")
def test_any_text_is_a_link_to_one_video_or_refused(text: str) -> None:
    try:
        name = video_id(text)
    except YouTubeError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_-]{11}", name)
    assert name in "".join(character for character in text if character.isprintable())


def test_at_least_40_hostile_links_are_tried() -> None:
    assert len(set(HOSTILE)) >= 40


@pytest.mark.parametrize(
    ("source", "link"),
    [
        (f"https://youtu.be/{ID}", True),
        (f"youtu.be/{ID}", True),
        (f"<https://youtu.be/{ID}>", True),
        (f"www.youtube.com/watch\\?v\\={ID}", True),
        (f"{ID}", True),
        ("youtube.com/@somebody", True),  # to be refused as a link, not as a missing file
        ("https://vimeo.com/1", True),
        ("clip.avi", False),
        ("clips/wave.mp4", False),
        ("jumpingjack", False),
        ("", False),
        ("a" * 5000, False),
        ("caf\udce9.mp4", False),
    ],
)
def test_the_program_tells_links_from_files(source: str, link: bool) -> None:
    assert is_link(source) is link


def test_a_file_that_is_there_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ID).write_bytes(b"")
    assert not is_link(ID)
