from actreel.dataset.grouping.joins import Parts


def test_groups_grow_together() -> None:
    parts = Parts(5)
    assert parts.join(0, 1)
    assert parts.join(3, 4)
    assert parts.join(4, 1)
    assert not parts.join(0, 3), "they are one already"
    assert [parts.of(row) for row in range(5)] == [0, 0, 2, 0, 0]
