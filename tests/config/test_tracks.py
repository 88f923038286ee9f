from actreel.config import SignalSpec, SoundSpec, TrackSpec, takes_track


def test_a_track_is_as_large_as_what_is_in_it() -> None:
    assert TrackSpec(sound=SoundSpec(bands=10)).size == 20
    assert TrackSpec().size == 0


def test_signals_follow_the_sound() -> None:
    track = TrackSpec(sound=SoundSpec(), signals=SignalSpec(columns=("x", "y"), samples=3))
    assert track.sizes == (128, 6)
    assert track.size == 134


def test_only_encoders_of_more_than_pictures_take_a_track() -> None:
    assert not takes_track("efficientnet_lite0+resnet50")
    assert all(takes_track(name) for name in ("audio", "signals", "efficientnet_lite0+audio"))
