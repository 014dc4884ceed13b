"""`mltrail artifacts list|download|verify`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from sqlalchemy import Connection, func, select

from mltrail_api.pages.queries import StoredArtifact, artifacts_of
from mltrail_api.pages.shown import shown_size, shown_time
from mltrail_cli.composition import Ports
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json, progress_bar
from mltrail_core.artifacts import ArtifactStore
from mltrail_core.errors import Conflict, NotFound, Unavailable
from mltrail_core.events import ArtifactStored, ArtifactVerified
from mltrail_core.events.home import artifact_subject
from mltrail_core.ids import Partition, partition_of
from mltrail_core.readmodel.tables import artifact_uploads, artifact_versions, artifacts
from mltrail_core.record import decode_record

_Owner = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or a logged model's (m-…).")]
Verdict = Literal["intact", "missing", "corrupt", "not in the log"]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    commands = typer.Typer(name="artifacts", help="Look at, fetch and check artifacts.", no_args_is_help=True)
    commands.command("list")(_list)
    commands.command("download")(_download)
    commands.command("verify")(_verify)
    app.add_typer(commands)


def _list(
    owner: _Owner,
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="A file, or a folder with all below it.")] = "",
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List the files of a run or logged model."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        found = _below(connection, owner, path)
    if as_json:
        print_json({"artifacts": found})
        return
    table = plain_table("path", "size", "stored (UTC)", "sha256", right=("size",))
    for artifact in found:
        size, stored = shown_size(artifact.size_bytes), shown_time(artifact.stored_us)
        table.add_row(escape(artifact.path), size, stored, f"[dim]{artifact.sha256 or 'not verified yet'}[/]")
    console().print(table if found else "[dim]no artifacts[/]")


def _download(
    owner: _Owner,
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="A file or folder; everything by default.")] = "",
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where to; the current folder by default.")] = Path(),
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Download files under their paths, each checked against its hash; a file that is there already is refused."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        with ports.read_model.reading() as connection:
            found = _below(connection, owner, path)
        if not found:
            raise NotFound(f"{owner} has no artifact {path!r}; `mltrail artifacts list {owner}` shows those there are")
        unhashed = [artifact.path for artifact in found if artifact.sha256 is None]
        if unhashed:
            raise Unavailable(
                f"{unhashed[0]} was uploaded past the server and is not hashed yet, so it can't be checked; "
                "the `jobs` role hashes it within minutes, try again then"
            )
        taken = [artifact.path for artifact in found if (to / artifact.path).exists()]
        if taken:
            raise Conflict(f"{to / taken[0]} is there already; remove it or name another folder with --to")
        with progress_bar() as bars:
            for artifact in bars.track(found, description="downloading"):
                _fetch(ports.artifacts, artifact.path, artifact.sha256 or "", to / artifact.path)
    if as_json:
        print_json({"files": [str((to / artifact.path).resolve()) for artifact in found]})
    else:
        size = shown_size(sum(artifact.size_bytes for artifact in found))
        console().print(f"[green]downloaded[/] {len(found)} files ({size}) to {escape(str(to.resolve()))}")


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one file: `intact` when its bytes still have the hash that the log holds."""

    owner: str
    path: str
    sha256: str
    size_bytes: int
    verdict: Verdict


def _verify(
    owner: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's or logged model's id; everything by default.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Hash stored bytes again and compare with what the log says of them. Exit status 1 when anything is wrong."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        with ports.read_model.reading() as connection:
            wanted = _versions(connection, owner)
        if not wanted and owner is not None:
            raise NotFound(f"{owner} has no artifacts")
        with progress_bar() as bars:
            checked = [_check(ports, *version) for version in bars.track(wanted, description="hashing")]
    wrong = [one for one in checked if one.verdict != "intact"]
    if as_json:
        print_json({"checked": checked, "is_intact": not wrong})
    else:
        for one in wrong:
            console().print(f"[red]{one.verdict}[/]  {one.owner} {escape(one.path)} [dim]{one.sha256}[/]")
        size = shown_size(sum(one.size_bytes for one in checked))
        style = "red" if wrong else "green"
        console().print(f"[{style}]{len(checked) - len(wrong)} of {len(checked)} intact[/] ({size})")
    if wrong:
        raise typer.Exit(1)


def _below(connection: Connection, owner: str, path: str) -> list[StoredArtifact]:
    path = path.strip("/")
    found = artifacts_of(connection, [owner])
    return [one for one in found if path in ("", one.path) or one.path.startswith(path + "/")]


def _fetch(store: ArtifactStore, path: str, sha256: str, target: Path) -> None:
    """Write the file beside its place and move it there when its hash is right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".unfinished")
    hashed = hashlib.sha256()
    try:
        with store.open(sha256) as stream, unfinished.open("wb") as file:
            for chunk in stream:
                hashed.update(chunk)
                file.write(chunk)
        if hashed.hexdigest() != sha256:
            raise Conflict(
                f"the bytes of {path} have the hash {hashed.hexdigest()}, the log says {sha256}: "
                "the artifact store was changed; restore it from a backup"
            )
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _versions(connection: Connection, owner: str | None) -> list[tuple[str, str, str, int, int, int]]:
    """Return (owner, path, sha256, size, index, number) of the event that said the hash of what each path shows now."""
    table, now, upload = artifact_versions.c, artifacts.c, artifact_uploads.c
    is_upload = (upload.owner == table.owner) & (upload.path == table.path) & (upload["index"] == table["index"])
    query = (
        select(
            table.owner,
            table.path,
            now.sha256,
            now.size_bytes,
            func.coalesce(upload.verified_index, table["index"]),  # of an upload past the server a later event says it
            func.coalesce(upload.verified_number, table.number),
        )
        .join_from(artifacts, artifact_versions, (now.owner == table.owner) & (now.path == table.path))
        .outerjoin(artifact_uploads, is_upload & (upload.number == table.number))
        .order_by(table.owner, table.path, table["index"], table.number)
    )
    if owner is not None:
        query = query.where(table.owner == owner)
    newest = {}
    for found, path, sha256, size_bytes, index, number in connection.execute(query):
        newest[found, path] = (found, path, sha256, size_bytes, index, number)
    return list(newest.values())


def _check(ports: Ports, owner: str, path: str, sha256: str, size_bytes: int, index: int, number: int) -> Checked:
    if _logged_sha256(ports, _partition(owner, path), index, number, path) != sha256:
        return Checked(owner, path, sha256, size_bytes, "not in the log")
    hashed = hashlib.sha256()
    try:
        with ports.artifacts.open(sha256) as stream:
            for chunk in stream:
                hashed.update(chunk)
    except NotFound:
        return Checked(owner, path, sha256, size_bytes, "missing")
    return Checked(owner, path, sha256, size_bytes, "intact" if hashed.hexdigest() == sha256 else "corrupt")


def _logged_sha256(ports: Ports, partition: Partition, index: int, number: int, path: str) -> str | None:
    entries = ports.log.read(partition, after=index - 1, max_records=1)
    events = decode_record(entries[0].frozen).events if entries and entries[0].index == index else ()
    if number < len(events):
        event = events[number]
        if isinstance(event, ArtifactStored | ArtifactVerified) and event.path == path:
            return event.sha256
    return None


def _partition(owner: str, path: str) -> Partition:
    return partition_of(artifact_subject(owner, path))
