"""A model's answer for a video as fields: the one definition, for the command line, Python and the service alike."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scored:
    """One action and the confidence in it.

    Attributes:
        label: The action.
        confidence: Its probability, in [0, 1].
    """

    label: str
    confidence: float


@dataclass(frozen=True)
class LabelledSegment:
    """What is seen between two moments.

    Attributes:
        start_s: Seconds from the video's start.
        end_s: Seconds from the video's start.
        label: The action; if `known` is false, only the nearest of the model's actions.
        confidence: The action's mean probability over the segment; 0 if `known` is false.
        known: Whether the segment shows any of the model's actions.
    """

    start_s: float
    end_s: float
    label: str
    confidence: float
    known: bool


@dataclass(frozen=True)
class Pose:
    """Where the largest person's joints are in a sampled frame.

    Attributes:
        at_s: From when on the frame is shown, in seconds from the video's start.
        landmarks: BlazePose's 33, each x and y in pixels of the video, and how likely it is to be visible, in [0, 1];
            empty if no person was found.
    """

    at_s: float
    landmarks: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Answer:
    """What a model says of a video.

    Attributes:
        label: The most likely of the model's actions.
        confidence: Its probability in [0, 1]; 0 if `known` is false, since the probabilities compare the model's
            actions with each other only: one of them can be near 1 for a video that shows none.
        known: Whether the video shows any of the model's actions, as far as the model can tell.
        top: At most 5 actions with their probabilities, the most likely first.
        segments: The actions over time, in order and without gaps.
        people: How many people were seen at once, at most; see `SeenPoses`. None unless the encoder is `pose`.
        poses: The largest person in each sampled frame, in order of time. None unless the encoder is `pose`.
    """

    label: str
    confidence: float
    known: bool
    top: tuple[Scored, ...]
    segments: tuple[LabelledSegment, ...]
    people: int | None = field(default=None, kw_only=True)
    poses: tuple[Pose, ...] | None = field(default=None, kw_only=True)
