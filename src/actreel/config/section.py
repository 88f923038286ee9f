"""The base of every section of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from actreel.base.places import below_home


class Section(BaseModel):
    """A section of params.yaml: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


UserPath = Annotated[str, AfterValidator(below_home)]
"""A path on this machine, whole where `~` stood for the user's home folder, or `~anna` for another's."""
