"""What an import did, with both sides counted, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass

from rich.markup import escape

from mltrail_api.pages.shown import shown_size
from mltrail_cli.importing.tally import KINDS, Tally
from mltrail_cli.terminal import console, plain_table, print_json

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`before` counts what was missing when the import began, `after` what is missing now."""

    source: str
    before: Tally
    after: Tally
    event_count: int
    record_count: int

    @property
    def problems(self) -> list[str]:
        """What could not be imported; said once, though both walks met it."""
        return list(dict.fromkeys([*self.before.problems, *self.after.problems]))

    @property
    def is_complete(self) -> bool:
        """Whether everything that the source has is here, with the same values."""
        return self.after.is_complete and not self.before.problems


def print_report(report: ImportReport, *, as_json: bool) -> None:
    """Print what was imported, what was there before, and what is missing."""
    after = report.after
    if as_json:
        print_json(
            {
                "source": report.source,
                "is_complete": report.is_complete,
                "events": report.event_count,
                "records": report.record_count,
                "counts": {
                    kind.replace(" ", "_"): {
                        "source": after.source[kind],
                        "here": after.here(kind),
                        "new": after.here(kind) - report.before.here(kind),
                    }
                    for kind in KINDS
                },
                "problems": report.problems,
            }
        )
        return
    out = console()
    table = plain_table("", "source", "here", "new", right=("source", "here", "new"))
    for kind in KINDS:
        shown = shown_size if kind == "artifact bytes" else str
        here = shown(after.here(kind))
        table.add_row(
            kind,
            shown(after.source[kind]),
            f"[red]{here}[/]" if after.missing[kind] else here,
            shown(max(0, after.here(kind) - report.before.here(kind))),
        )
    out.print(table)
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        out.print(f"[red]left out[/] {escape(problem)}", soft_wrap=True)
    if len(report.problems) > _SHOWN_PROBLEMS:
        out.print(f"[dim]and {len(report.problems) - _SHOWN_PROBLEMS} more; --json prints all[/]")
    if not report.is_complete:
        out.print("[red]not everything is here[/]: what is missing is counted above", soft_wrap=True)
    elif report.event_count:
        out.print(f"[green]imported[/] {report.event_count} events in {report.record_count} records; both sides agree")
    else:
        out.print("[green]nothing new[/]: both sides agree")
