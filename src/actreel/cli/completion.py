"""What the shell proposes for a value when Tab is pressed: only what is cheap to find out.

Where nothing is proposed, bash goes on with names of files.
"""

from __future__ import annotations

from actreel.base.places import MODEL, PARAMS, RUNNER_UP


def model_folders() -> list[str]:
    """The model folders of this project: the one trained last, the runner-up, and the packaged one."""
    from actreel.inference.model_folder import MANIFEST_FILE, default_model

    known = dict.fromkeys([MODEL, RUNNER_UP, default_model()])
    return [str(folder) for folder in known if (folder / MANIFEST_FILE).is_file()]


def settings() -> list[str]:
    """The settings of params.yaml here, with their values: `train.epochs=20`; none where it cannot be read."""
    import yaml

    try:
        sections = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
        return [f"{section}.{key}={_typed(value)}" for section, keys in sections.items() for key, value in keys.items()]
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return []


def _typed(value: object) -> str:
    """A value as it is typed after `--set KEY=`; nothing for what a shell would have to be quoted for."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if all(letter.isalnum() or letter in "._/+-" for letter in text) else ""


def runs() -> list[str]:
    """The one run that has a name everywhere; to list the others would take seconds."""
    return ["champion"]


def folds() -> list[str]:
    """The number of folds that is a word."""
    return ["logo"]
