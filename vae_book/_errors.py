"""What the command line makes of errors: one message and an exit status."""

from __future__ import annotations

from typing import Any

import click

INTERRUPTED = 130
BAD_INPUT = 2


class BadInput(click.ClickException):
    """What the user gave cannot be used; one line says why."""

    exit_code = BAD_INPUT


class PackageGroup(click.Group):
    """Turns the package's own errors into one message, and Ctrl-C into exit status 130."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. The same command goes on from what is stored.", err=True)
            ctx.exit(INTERRUPTED)
        except click.UsageError as error:
            raise BadInput(error.format_message()) from error
        except (ValueError, LookupError, OSError, RuntimeError, FloatingPointError) as error:
            status = _status_of(error)
            if status is None or ctx.params.get("debug"):
                raise
            from vae_book.params import one_line

            if status == BAD_INPUT:
                raise BadInput(one_line(error)) from error
            raise click.ClickException(str(error)) from error


def _status_of(error: Exception) -> int | None:
    """Exit status for an error that is the user's or the machine's; None for one of ours."""
    from vae_core.data.files import DataNotFound

    if isinstance(error, click.exceptions.Exit | BrokenPipeError):
        return None  # of a pipe whose reader has gone click makes a quiet end
    if isinstance(error, ValueError | DataNotFound):
        return BAD_INPUT
    if isinstance(error, LookupError) and not isinstance(error, KeyError | IndexError):
        return BAD_INPUT  # a run that is not stored, or stored without weights
    if isinstance(error, OSError | FloatingPointError) or type(error).__name__ in (
        "NotebookFailed",
        "BrokenProcessPool",
        "SweepError",
        "QuadratureError",
    ):
        return 1  # a full disk, a run that diverged, a failing cell, a killed worker
    return None
