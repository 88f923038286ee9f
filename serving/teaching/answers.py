"""What the calls of teaching take and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

JOB_ID = r"^[A-Za-z0-9_-]{22}$"
LONGEST_REASON = 1000
MOST_ACTIONS = 256


class Teaching(BaseModel):
    """The registered model that can be taught here, and how many seconds of an action a recording should show."""

    model: str
    record_s: float


class Marked(BaseModel):
    """An action in the videos that visitors shared; `_unknown` stands for none of the model's actions."""

    label: str
    clips: int
    videos: int


class Lessons(BaseModel):
    """What could be taught, and the id of the job that is learning a lesson now, if one is."""

    actions: list[Marked]
    job: str | None


class Lesson(BaseModel):
    """The actions to teach: of each, all clips that visitors marked and shared."""

    actions: list[str] = Field(min_length=1, max_length=MOST_ACTIONS)


class TaughtDraft(BaseModel):
    """A registered draft, which nothing serves by itself.

    `table` is what it changes on held-out groups: a row of headings, then one for each action. `notes` must be known to
    read it, and `to_try` is the command that serves the draft beside the champion.
    """

    name: str
    version: str
    base: str
    run_id: str
    table: list[list[str]]
    notes: list[str]
    to_try: str


def _in_one_line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("a reason must be one line of printable letters")
    return text.strip()


class DraftToPromote(BaseModel):
    """The job that made a draft, and why the draft becomes champion; the reason is kept with the version."""

    job: str = Field(pattern=JOB_ID)
    reason: Annotated[str, Field(max_length=LONGEST_REASON), AfterValidator(_in_one_line)]


class Promoted(BaseModel):
    """The new champion, the version in whose place it is, and how it comes to be served."""

    name: str
    version: str
    instead_of: str | None
    next_step: str
