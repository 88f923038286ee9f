"""How what a clip has beside its pictures becomes numbers: stored with a model, so that it is served as it learned."""

from __future__ import annotations

from pydantic import Field

from actreel.config.section import Section


class SoundSpec(Section):
    """A log-mel spectrogram; the values are those of VGGish (Hershey et al., ICASSP 2017).

    Attributes:
        rate: Samples a second that the sound is brought to, in one channel.
        window: Samples in a window of the Fourier transform.
        hop: Samples from one window to the next.
        bands: Mel bands.
        lowest_hz: Where the lowest band begins.
        highest_hz: Where the highest band ends.
    """

    rate: int = Field(default=16_000, ge=1)
    window: int = Field(default=400, ge=2)
    hop: int = Field(default=160, ge=1)
    bands: int = Field(default=64, ge=1)
    lowest_hz: float = Field(default=125, ge=0)
    highest_hz: float = Field(default=7500, gt=0)

    @property
    def size(self) -> int:
        """Numbers for one frame of a clip: mean and maximum of each band."""
        return 2 * self.bands


class SignalSpec(Section):
    """Signals of sensors.

    Attributes:
        columns: The channels that are taken, by name.
        samples: Values of each channel for one frame of a clip.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    samples: int = Field(default=4, ge=1)

    @property
    def size(self) -> int:
        """Numbers for one frame of a clip."""
        return len(self.columns) * self.samples


class TrackSpec(Section):
    """The track of a clip: what it has beside its pictures, as one vector for each of its frames.

    Attributes:
        sound: How its sound becomes numbers; None if it is not used.
        signals: Which signals of sensors are taken; None if they are not used.
    """

    sound: SoundSpec | None = None
    signals: SignalSpec | None = None

    @property
    def size(self) -> int:
        """M, the numbers for one frame of a clip."""
        return sum(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers for one frame by each encoder: the sound's first."""
        return tuple(part.size for part in (self.sound, self.signals) if part)
