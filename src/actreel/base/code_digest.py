"""A digest of code: part of the key of everything that is cached, so that no cache outlives the code that filled it.

Comments, docstrings and layout do not count: rewording a docstring must not make anyone extract 6,000 clips again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

TRAINING = ("config", "dataset", "models", "quiet_keras.py", "training", "video")
"""What a trained network depends on: all that training imports, except `base` and `errors`, which change no result."""


def code_digest(*parts: str, packages: tuple[str, ...] = ()) -> str:
    """Digests parts of `actreel`, and the versions of libraries whose results differ between releases.

    Args:
        parts: Folders or files below `src/actreel`, as in `code_digest("video", "config.py")`; none means all of it.
        packages: Names of installed distributions.

    Returns:
        16 hexadecimal digits.

    Raises:
        FileNotFoundError: There is no such part.
    """
    return _digest(PACKAGE, parts, packages)


@cache
def _digest(package: Path, parts: tuple[str, ...], packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for file in _files(package, parts):
        digest.update(f"{file.relative_to(package).as_posix()}\n{_code_of(file.read_bytes())}\n".encode())
    for name in packages:
        digest.update(f"{name}=={_version_of(name)}\n".encode())
    return digest.hexdigest()[:16]


def _files(package: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    for part in parts or (".",):
        path = package / part
        if not path.exists():
            raise FileNotFoundError(f"code_digest takes folders and files of actreel. Received: '{part}'.")
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


@cache
def _code_of(source: bytes) -> str:
    """A digest of the syntax tree, without docstrings and line numbers.

    `ast.dump` would be twice as slow. Compiled code would not do: it depends on how the lines are broken.
    """
    words: list[str] = []
    _describe(ast.parse(source), words.append)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _describe(node: object, say: Callable[[str], None]) -> None:
    if isinstance(node, ast.AST):
        say(type(node).__name__)
        for field in node._fields:
            _describe(getattr(node, field, None), say)
    elif isinstance(node, list):
        say("[")
        for part in node:
            if not _is_text(part):
                _describe(part, say)
        say("]")
    else:
        say(ascii(node))


def _is_text(line: object) -> bool:
    """Whether it is a string that stands alone: documentation wherever it stands, after a constant too."""
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
