"""The documentation against the code: what it names exists, what it lists is complete, and it needs no network."""

import ast
import difflib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import typer.main
import yaml

from actreel.cli import main
from actreel.cli.program import build_program
from actreel.config import ENCODERS, ModelParams, load_params, override
from actreel.training.onnx_files import EncoderSettings
from serving.api import create_app
from serving.settings import PREFIX, Settings
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"(?:src|serving|pipelines|tests|docs|benchmarks|\.ci|\.github)/[\w./-]+|[\w.-]+\.(?:yaml|toml|cff)")
MADE_UP = ("blur", "/x/", "space.yaml", "candidates.yaml", "bento.yaml")
"""What the pages' own examples name."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def rows_of(page: str) -> dict[str, list[str]]:
    """The tables' rows by each of the code words in their first cell; the first table that has a word counts."""
    rows: dict[str, list[str]] = {}
    for line in text_of(DOCS / page).splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            rows = dict.fromkeys(CODE.findall(cells[0]), cells) | rows
    return rows


def commands() -> Iterator[str]:
    """The shell lines of all pages, without their comments, continued lines joined; and commands within sentences."""
    for page in PAGES:
        text = text_of(page)
        for language, block in FENCE.findall(text):
            if not language:
                yield from (line.split("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
        yield from CODE.findall(FENCE.sub("", text))


COMMANDS = sorted(set(commands()))


class Loaded(HTMLParser):
    """The addresses that a browser would load by itself while it shows a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(values.get("src") or "")
        if tag == "link":
            self.addresses.append(values.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as `make check` builds it."""
    target = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return target


def test_every_page_is_built_and_loads_nothing_from_other_hosts(site: Path) -> None:
    assert {page.stem for page in site.glob("*.html")} >= {page.stem for page in DOCS.glob("*.md")}
    foreign = re.compile(r"^(\w+:)?//")
    for page in site.rglob("*.html"):
        html = text_of(page)
        assert [address for address in Loaded(html).addresses if foreign.match(address)] == [], page.name
        assert 'class="mermaid"' not in html  # the theme would fetch Mermaid's script
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", text_of(style)), style.name


def test_security_contributing_and_changelog_are_included(site: Path) -> None:
    for page, words in (("security", "What is promised"), ("contributing", "Glossary"), ("changelog", "Unreleased")):
        assert words in text_of(site / f"{page}.html")


def test_settings_lists_every_parameter_with_its_default() -> None:
    written = {
        f"{section}.{key}": value
        for section, values in yaml.safe_load(text_of(ROOT / "params.yaml")).items()
        for key, value in values.items()
    }
    checked = {f"{name}.{key}" for name, section in load_params().model_dump(by_alias=True).items() for key in section}
    rows = {key: cells for key, cells in rows_of("settings.md").items() if "." in key}
    assert rows.keys() == written.keys() == checked
    assert {key: yaml.safe_load(cells[1].strip("`")) for key, cells in rows.items()} == written


def test_operations_lists_every_variable_with_its_default() -> None:
    rows = rows_of("operations.md")
    variables = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {name for name in rows if name.startswith(PREFIX)} == variables
    without_literal = {"ACTREEL_STATE_DIR", "ACTREEL_FEEDBACK_DIR", "ACTREEL_STATISTICS_DIR"}
    without_literal |= {name for name in variables if rows[name][1] == "not set"}
    listed = {name: rows[name][1].strip("`") for name in variables - without_literal}
    assert Settings.from_environment(listed) == Settings.from_environment({})


def test_models_lists_every_encoder_and_head() -> None:
    encoders, heads = ENCODERS, get_args(ModelParams.model_fields["head"].annotation)
    rows = {name for name, cells in rows_of("models.md").items() if len(cells) == 2}
    assert rows - {"model.encoder", "model.head"} == {*encoders, *heads}


def test_models_lists_every_setting_of_an_onnx_encoder() -> None:
    section = text_of(DOCS / "models.md").partition("## Bring your own encoder")[2].partition("\n## ")[0]
    needed = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert needed.keys() == EncoderSettings.model_fields.keys()
    assert {name for name, when in needed.items() if when == "always"} == {"range", "mean", "std"}


def test_models_lists_every_recipe() -> None:
    assert {file.stem for file in (ROOT / "pipelines/recipes").glob("*.yaml")} <= rows_of("models.md").keys()


def test_serving_lists_every_call() -> None:
    document = create_app(Settings()).openapi()
    calls = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert calls <= rows_of("serving.md").keys()


def error_codes() -> set[str]:
    """What stands second in RefusalError(…) and closed(…), as `code=` in Problem(…), and YouTube's failures."""
    found: list[ast.expr | None] = []
    for path in [*(ROOT / "serving").rglob("*.py"), *(ROOT / "src/actreel/youtube").glob("*.py")]:
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("RefusalError", "Problem", "cls", "closed"):
                found += node.args[1:2]
                found += [word.value for word in node.keywords if word.arg == "code"]
            if isinstance(node, ast.Dict) and "'not_youtube':" in ast.unparse(node):
                found += node.keys
    return {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_serving_lists_every_error_code() -> None:
    codes = error_codes()
    assert {"too_large", "internal", "interrupted", "bot_check"} <= codes
    listed = {name for name, cells in rows_of("serving.md").items() if len(cells) == 3}
    assert {code for code in listed if code.islower() and "/" not in code} == codes


def messages() -> list[str]:
    """Every text in the code, with … for what it fills in; and the Makefile's lines."""
    texts = text_of(ROOT / "Makefile").splitlines()
    for folder in ("src", "pipelines", "serving"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(text_of(path))):
                if isinstance(node, ast.JoinedStr):
                    parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                    texts.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return texts


def test_every_message_of_troubleshooting_is_in_the_code() -> None:
    code = messages()
    headings = re.findall(r"^### `(.+)`$", text_of(DOCS / "troubleshooting.md"), re.MULTILINE)
    assert len(headings) > 30
    gone = []
    for heading in headings:
        parts = [part.strip() for part in heading.split("…") if part.strip()]
        assert max(map(len, parts)) >= 8, f"'{heading}' could be anything"
        pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL | re.IGNORECASE)
        if not any(pattern.search(text) for text in code):
            near = difflib.get_close_matches(heading, [text for text in code if len(text) < 400], n=1, cutoff=0.0)
            gone.append(f"{heading}\n    perhaps now: {near[0]}")
    assert not gone, "\n".join(gone)


def test_paths_that_the_pages_name_exist() -> None:
    missing = {
        f"{page.name}: {code}"
        for page in PAGES
        for code in CODE.findall(FENCE.sub("", text_of(page)))
        if PATH.fullmatch(code) and not any(word in code for word in MADE_UP) and not (ROOT / code).exists()
    }
    assert missing == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_at_the_top_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", text_of(ROOT / page))
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).is_file()] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {found for line in COMMANDS for found in re.findall(r"^make (?:\w+=\S+ )*([a-z]\w+)", line)}
    assert len(named) > 8
    assert named <= targets


def test_commands_and_their_flags_exist(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in COMMANDS if re.match(r"actreel [a-z]", line)]
    assert len(lines) > 8

    @cache
    def help_of(*command: str) -> str:
        with pytest.raises(SystemExit) as end:
            main([*command, "--help"])
        assert end.value.code == 0, command
        return capsys.readouterr().out

    for line in lines:
        words = line.split()
        known = help_of(*words[1 : 3 if words[1] in ("encoders", "feedback", "models") else 2])
        assert [flag for flag in re.findall(r"(?<= )--[a-z-]+", line) if flag not in known] == [], line


def test_cli_lists_every_command_with_its_options() -> None:
    program = typer.main.get_command(build_program())
    everywhere = {"--verbose", "--quiet", "--help", "-v", "-q"}
    found = {}
    for name, command in program.commands.items():  # type: ignore[attr-defined]
        for verb, each in getattr(command, "commands", {"": command}).items():
            options = {flag for param in each.params for flag in param.opts if param.param_type_name == "option"}
            found[f"actreel {name} {verb}".rstrip()] = options - everywhere
    rows = {" ".join(re.findall(r"^actreel|(?<= )[a-z]+", name)): cells for name, cells in rows_of("cli.md").items()}
    listed = {name: {*CODE.findall(cells[2])} for name, cells in rows.items() if name.startswith("actreel")}
    assert listed == found


def test_parameters_in_commands_are_valid() -> None:
    params = load_params()
    lines = [line for line in COMMANDS if re.search(r"(-S|--set) \S*=", line)]
    lines = [line for line in lines if "SECTION.KEY" not in line and "--queue" not in line]
    assert len(lines) > 10
    for line in lines:
        settings = [after for word, after in pairwise(shlex.split(line)) if word in ("-S", "--set")]
        for setting in settings:
            section, _, key = setting.partition("=")[0].partition(".")
            assert key in params.model_dump(by_alias=True)[section], line
        if len(settings) > 2:  # a single one may need what the sentence before it sets
            override(params, settings)


def test_the_rooms_are_import_linters_layers() -> None:
    (drawing,) = (block for language, block in FENCE.findall(text_of(DOCS / "architecture.md")) if language == "rooms")
    (layers,) = (each["layers"] for each in PYPROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    drawn = [set(line.split("│")[0].split()) for line in drawing.splitlines()]
    assert drawn == [{name.strip().removeprefix("actreel.") for name in layer.split("|")} for layer in layers]


def test_names_in_contributing_are_in_the_code() -> None:
    folders = ("src", "serving", "pipelines", "tests")
    code = "".join(text_of(path) for folder in folders for path in (ROOT / folder).rglob("*.py"))
    words = {word for word in CODE.findall(text_of(ROOT / "CONTRIBUTING.md")) if re.fullmatch(r"_?[A-Z]\w+", word)}
    assert {"HEADS", "PRETRAINED_ENCODERS", "VIDEO_PATHS"} <= words
    assert {word for word in words if not re.search(rf"\b{word}\b", code)} == set()


def test_the_citation_is_whole_and_of_this_version() -> None:
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert citation.keys() >= {"cff-version", "message", "title", "authors", "license"}
    assert citation["version"] == PYPROJECT["project"]["version"]
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert [(each["authors"][0]["family-names"], each["year"]) for each in citation["references"]] == [
        ("Reddy", 2013), ("Donahue", 2015),
    ]  # fmt: skip


def test_the_changelog_has_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert PYPROJECT["project"]["version"] in headings


def test_ci_files_run_what_is_there() -> None:
    workflow = yaml.safe_load(text_of(ROOT / ".github/workflows/ci.yml"))
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    (local,) = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"].split()[0] for hook in local["hooks"]] == [
        ".venv/bin/ruff",
        ".venv/bin/ruff",
        ".venv/bin/mypy",
    ]
    for template in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(text_of(template))
