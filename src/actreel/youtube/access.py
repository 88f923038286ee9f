"""How an operator gets past YouTube's defences: cookies, a proxy, and options of yt-dlp's plug-ins."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, ValidationInfo, field_validator

from actreel.base.places import below_home
from actreel.errors import ConfigError

PREFIX = "ACTREEL_"
PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class YouTubeAccess(BaseModel):
    """What the downloader may use. Nothing of it is logged, and of the cookies this process knows only where they are.

    Attributes:
        youtube_cookies: A file of cookies in Netscape's format, which nobody but this user can read. It is never
            written.
        youtube_proxy: The proxy's address, such as `socks5://user:password@host:1080`.
        youtube_extractor_args: Options of yt-dlp's extractor and plug-ins, as its `--extractor-args` takes them;
            several are separated by blanks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    youtube_cookies: Path | None = None
    youtube_proxy: SecretStr | None = None
    youtube_extractor_args: SecretStr | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _without_tilde(cls, value: Any, info: ValidationInfo) -> Any:
        # Quoted, or in a file of a service manager, `~` comes as it is, and would become a folder of that name.
        kind = cls.model_fields[str(info.field_name)].annotation
        return below_home(value) if isinstance(value, str) and kind in (Path, Path | None) else value

    @field_validator("youtube_cookies")
    @classmethod
    def _is_private(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                mode = path.stat().st_mode
            except OSError as error:
                raise ValueError(f"the file cannot be read ({error.strerror})") from error
            if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
                raise ValueError("it must be a file that can be read")
            if mode & stat.S_IRWXO:
                raise ValueError(f"others can read this file. Run: chmod o= '{path}'")
        return path.absolute() if path is not None else None

    @field_validator("youtube_proxy")
    @classmethod
    def _is_an_address(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            try:
                parts = urlsplit(proxy.get_secret_value())
                complete = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
            except ValueError:
                complete = False
            if not complete:
                known = ", ".join(PROXY_SCHEMES)
                raise ValueError(f"it must be an address such as http://host:8080. It may begin with {known}")
        return proxy

    @field_validator("youtube_extractor_args")
    @classmethod
    def _name_an_extractor(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not all(":" in part.strip(":") for part in given.get_secret_value().split()):
            raise ValueError("it must look like youtubepot-bgutilhttp:base_url=http://127.0.0.1:4416")
        return given

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads the variables of this class's fields: `ACTREEL_` and the field in capitals.

        Raises:
            ConfigError: A value is out of range.
        """
        names = {name: PREFIX + name.upper() for name in cls.model_fields}
        values = {name: environment[variable] for name, variable in names.items() if variable in environment}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(f"{PREFIX}{str(p['loc'][0]).upper()}: {p['msg']}" for p in error.errors())
            raise ConfigError(f"Invalid environment variables: {problems}") from error

    def for_downloader(self) -> dict[str, Any]:
        """The part of the downloader's request that says what it may use, secrets included."""
        proxy, given = self.youtube_proxy, self.youtube_extractor_args
        return {
            "cookies": str(self.youtube_cookies) if self.youtube_cookies else None,
            "proxy": proxy.get_secret_value() if proxy else None,
            "extractor_args": given.get_secret_value().split() if given else [],
        }
