import pytest

from actreel.tracking.promotions import BY_HAND, MAX_REASON, How, Promotion, champions_before, labels_for, promotions_of


def history(*steps: tuple[How, str, str | None]) -> list[Promotion]:
    return [
        Promotion(version, f"2026-11-26T10:00:{second:02d}+00:00", how, "", before)
        for second, (how, version, before) in enumerate(steps)
    ]


def test_a_promotion_is_a_tag_and_is_read_from_it() -> None:
    promotion = Promotion.now("3", "hand", "nachts besser, größer", "2")
    key, value = promotion.tag
    assert "+" not in key  # MLflow refuses it
    assert promotions_of("3", {"accuracy": "0.9", key: value}) == [promotion]


def test_tags_that_others_have_changed_are_passed_over() -> None:
    key, _ = Promotion.now("3", "hand", "x", None).tag
    for value in ("", "{", "[]", '{"how": "hand"}', "null"):
        assert promotions_of("3", {key: value, "promoted.yesterday": "{}"}) == []


def test_a_long_reason_fits_into_a_tag() -> None:
    (_, value) = Promotion.now("3", "hand", "x" * 9000, None).tag
    assert MAX_REASON < len(value) < 5000


def test_labels_have_the_last_promotion_if_it_was_by_hand() -> None:
    tags = {"accuracy": "0.9"}
    first, second = (Promotion("3", f"2026-11-2{day}T10:00:00.000001+00:00", how, "because", None)
                     for day, how in ((5, "rules"), (6, "hand")))  # fmt: skip
    assert labels_for("3", tags | dict([first.tag])) == tags
    assert labels_for("3", tags | dict([second.tag, first.tag])) == tags | {BY_HAND: "by hand on 2026-11-26: because"}


@pytest.mark.parametrize(
    ("steps", "champion", "before"),
    [
        ([], "3", []),
        ([("rules", "1", None)], "1", []),
        ([("rules", "1", None), ("rules", "2", "1"), ("hand", "3", "2")], "3", ["1", "2"]),
        # Rolled back once, and twice.
        ([("rules", "1", None), ("rules", "2", "1"), ("rules", "3", "2"), ("rollback", "2", "3")], "2", ["1"]),
        ([("rules", "1", None), ("rules", "2", "1"), ("rollback", "1", "2"), ("rules", "3", "1")], "3", ["1"]),
        # Version 7 was champion before anything was recorded.
        ([("rules", "8", "7")], "8", ["7"]),
        # The alias was moved on MLflow's page: to a version that was never promoted, and to one that was.
        ([("rules", "1", None), ("rules", "2", "1")], "9", ["1", "2"]),
        ([("rules", "1", None), ("rules", "2", "1"), ("rules", "3", "2")], "2", ["1"]),
        ([("rules", "1", None), ("hand", "2", "1"), ("hand", "1", "2")], "1", ["1", "2"]),
    ],
)
def test_the_champions_before(steps: list[tuple[How, str, str | None]], champion: str, before: list[str]) -> None:
    assert champions_before(reversed(history(*steps)), champion) == before
