from actreel.tracking.names import telling_name

FIRST = {"train.epochs": "30", "train.refit": "False", "model.head": "lstm", "evaluate.views": "3"}
PARAMS = {"train.epochs": 30, "train.refit": False, "model.head": "lstm", "evaluate.views": 3}


def test_the_first_run_has_the_plain_name() -> None:
    assert telling_name("demo cnn+lstm", PARAMS, None, []) == "demo cnn+lstm"


def test_a_name_has_the_settings_that_make_another_model() -> None:
    changed = PARAMS | {"train.refit": True, "evaluate.views": 1, "model.head": "mean", "train.new": 1}
    assert telling_name("demo cnn+mean", changed, FIRST, ["demo cnn+lstm"]) == "demo cnn+mean, train.refit=True"


def test_equal_runs_are_numbered() -> None:
    taken = ["demo cnn+lstm", "demo cnn+lstm #2"]
    assert telling_name("demo cnn+lstm", PARAMS, FIRST, taken) == "demo cnn+lstm #3"


def test_of_many_changes_the_first_are_named() -> None:
    first = {f"train.s{number}": "0" for number in range(7)}
    name = telling_name("demo cnn+lstm", dict.fromkeys(first, 1), first, [])
    assert name == "demo cnn+lstm, train.s0=1, train.s1=1, train.s2=1, train.s3=1, 3 more"
