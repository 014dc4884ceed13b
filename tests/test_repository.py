"""What has to hold for the repository as a whole: layers, documents that agree with the code, and no stray places."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail._recording import read_recording
from mltrail._settings import read_settings
from mltrail_cli.__main__ import main
from mltrail_cli.settings import Settings
from mltrail_core.events import BY_WIRE_NAME, Event
from mltrail_core.events.text import Detached

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [ROOT / name for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def test_packages_keep_their_layers() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_typed_and_known_to_the_linter_of_layers() -> None:
    assert {package for package in _package_folders()} == set(PACKAGES)
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == {package.name for package in PACKAGES}
    for package in PACKAGES:
        assert (package / "py.typed").is_file(), f"{package} has no py.typed"


def _package_folders() -> Iterator[Path]:
    for folder in ("shared", "services"):
        yield from (file.parent for file in (ROOT / folder).glob("*/__init__.py"))


# -- documents ---------------------------------------------------------------------------------------------------------


def test_every_event_is_documented_with_its_fields_who_emits_it_and_what_it_means() -> None:
    rows = _rows(DOCS / "events.md", "event")
    documented = {row["event"].strip("`"): row for row in rows}
    assert len(documented) == len(rows)
    assert set(documented) == set(BY_WIRE_NAME)
    for name, event in BY_WIRE_NAME.items():
        assert documented[name]["fields"] == ", ".join(_fields(event)), name
        assert documented[name]["emitted by"], name
        assert documented[name]["meaning"].endswith("."), name


def _fields(event: type[Event]) -> list[str]:
    hints = typing.get_type_hints(event, include_extras=True)
    return [
        f"`{field.name}`{'*' * _is_free_text(hints[field.name])}{'?' * (field.default is not dataclasses.MISSING)}"
        for field in dataclasses.fields(event)
        if field.name != "occurred_us"
    ]


def _is_free_text(hint: object) -> bool:
    if any(isinstance(mark, Detached) for mark in getattr(hint, "__metadata__", ())):
        return True
    return any(_is_free_text(part) for part in typing.get_args(hint))


def test_every_setting_of_the_server_is_documented_with_its_flag_and_default() -> None:
    rows = {row["variable"]: row for row in _rows(DOCS / "settings.md", "flag") if row["variable"]}
    assert set(rows) == {f"`MLTRAIL_{name.upper()}`" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        row = rows[f"`MLTRAIL_{name.upper()}`"]
        assert row["flag"] == f"`--{name.replace('_', '-')}`"
        assert row["default"] == ("none" if field.default is None else f"`{field.default}`")
        assert row["meaning"]


def test_every_setting_of_the_sdk_is_documented_with_its_default() -> None:
    rows = {row["variable"] or row["argument"]: row for row in _rows(DOCS / "settings.md", "argument")}
    settings, recording = read_settings({}), read_recording({})
    assert settings.run_id is None
    assert recording.node_id is None
    assert settings.destination.token is None
    defaults = {
        "`MLTRAIL_URI`": "`./mltrail-data`",
        "`MLTRAIL_TOKEN`": "none",
        "`MLTRAIL_EXPERIMENT`": f"`{settings.experiment}`",
        "`MLTRAIL_RUN_ID`": "none",
        "`MLTRAIL_DURABILITY`": f"`{settings.durability}`",
        "`MLTRAIL_OFFLINE`": f"`{settings.is_offline}`",
        "`MLTRAIL_SPOOL`": "`~/.local/state/mltrail/spool`",
        "`MLTRAIL_RECORD_CODE`": f"`{recording.code}`",
        "`MLTRAIL_RECORD_ENVIRONMENT`": f"`{recording.environment}`",
        "`MLTRAIL_SYSTEM_METRICS_INTERVAL_S`": f"`{recording.system_metrics_interval_s}`",
        "`MLTRAIL_NODE_ID`": "none",
        "`MLTRAIL_CONSOLE`": f"`{recording.console}`",
        "`flush_interval_s`": f"`{settings.flush_interval_s}`",
        "`exit_timeout_s`": f"`{settings.exit_timeout_s}`",
        "`block_timeout_s`": f"`{settings.block_timeout_s}`",
        "`when_full`": f"`{settings.when_full}`",
        "`max_spool_bytes`": f"`{settings.max_spool_bytes}`",
    }
    assert {name: row["default"] for name, row in rows.items()} == defaults
    assert Path("./mltrail-data").absolute() == Path(settings.destination.address)
    assert settings.spool_places[0] == Path.home() / ".local/state/mltrail/spool"


def test_the_code_reads_no_variable_that_is_not_documented() -> None:
    documented = set(re.findall(r"MLTRAIL_[A-Z_]+", (DOCS / "settings.md").read_text()))
    compose = set(re.findall(r"^(MLTRAIL_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for file in _files(".py"):
        if not file.is_relative_to(ROOT / "tests"):
            read = {name.rstrip("_") for name in re.findall(r"MLTRAIL_[A-Z]+[A-Z_]*", file.read_text())} - {"MLTRAIL"}
            assert read <= documented | compose, file


def _rows(document: Path, column: str) -> list[dict[str, str]]:
    """Return the rows of every table of a document that has the column, each as column → cell."""
    rows = []
    head: list[str] | None = None
    for line in document.read_text().splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
        elif column in head and not set(cells) <= {"---"}:
            rows.append(dict(zip(head, cells, strict=True)))
    return rows


def test_links_between_documents_lead_somewhere() -> None:
    for document in _files(".md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_decisions_are_numbered_and_say_context_decision_and_consequences() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [file.name[:4] for file in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for file in decisions:
        headings = re.findall(r"^#+ .*$", file.read_text(), re.MULTILINE)
        assert headings[0].startswith(f"# {file.name[:4]}: ")
        assert headings[1:] == ["## Context", "## Decision", "## Consequences"], file


# -- the README's commands ---------------------------------------------------------------------------------------------


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def test_ci_runs_exactly_the_test_command_of_the_readme() -> None:
    [command] = [line for line in _readme_lines() if line.endswith("pytest")]
    assert command == "pip install -e '.[dev]' && pytest"
    script = (ROOT / ".ci" / "run").read_text()
    assert f'\nstep "{command}"\n' in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0


def test_the_main_job_is_one_line_in_the_readme() -> None:
    assert "pip install -e '.[demo]' && mltrail demo" in _readme_lines()


def _readme_lines() -> list[str]:
    return [line for block in _blocks(ROOT / "README.md", "sh") for line in block.splitlines()]


def _mltrail_commands() -> set[tuple[str, ...]]:
    """Return the commands, without options and arguments, that the README and the docs call."""
    found = set()
    for document in (ROOT / "README.md", *DOCS.glob("*.md")):
        for words in re.findall(r"mltrail ((?:[a-z]+ ?)+)", "\n".join(_commands(document))):
            command = words.split()
            groups = ("log", "runs", "experiments", "artifacts", "registry", "tokens")
            found.add(tuple(command[: 2 if command[0] in groups else 1]))
    return found


def _commands(document: Path) -> Iterator[str]:
    text = document.read_text()
    for line in text.splitlines():
        yield from re.findall(r"^(?:    |.*&& )?(mltrail [a-z].*)$", line)
        yield from re.findall(r"`(mltrail [a-z][^`]*)`", line)


@pytest.mark.parametrize("command", sorted(_mltrail_commands()), ids=" ".join)
def test_a_command_that_the_documents_name_exists(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mltrail", *command, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert f"mltrail {' '.join(command)} " in capsys.readouterr().out


@pytest.mark.parametrize("document", ["README.md", "docs/trainers.md"])
def test_the_examples_of_the_sdk_run_and_log_what_they_say(document: str, tmp_path: Path) -> None:
    [example] = [block for block in _blocks(ROOT / document, "python") if "import mltrail" in block]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLTRAIL_")}
    read_back = (
        "\nruns = mltrail.search_runs('iris')\nprint(runs[0].name, runs[0].params['lr'], runs[0].tags['team'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", example + read_back], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "gbm 0.1 vision"
    assert (tmp_path / "mltrail-data" / "log" / "log.db").is_file()


# -- nothing of the machine where it was made --------------------------------------------------------------------------

DOWNLOAD_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "debian" + ".org", "index-" + "url")
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:work|root|Users|opt/pypi[\w-]*)/\w")


def test_no_file_names_a_download_host_or_a_path_of_a_machine() -> None:
    for file in _files():
        text = file.read_text(errors="replace")
        for host in DOWNLOAD_HOSTS:
            assert host not in text, f"{file} names {host}"
        found = MACHINE_PATHS.search(text)
        assert found is None, f"{file} names a path of a machine: {text[found.start() : found.start() + 40]!r}"


def _files(suffix: str = "") -> list[Path]:
    """Return the files of the repository: those that git knows, or all where there is no git."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        found = [ROOT / name for name in done.stdout.splitlines()]
    else:
        found = [file for file in ROOT.rglob("*") if not {".git", "__pycache__"} & set(file.parts)]
    return [file for file in found if file.is_file() and file.name.endswith(suffix)]
