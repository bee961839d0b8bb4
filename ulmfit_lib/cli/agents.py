"""The command that serves agents: mcp."""

from pathlib import Path
from typing import Annotated

import typer

from ulmfit_lib.cli.running import command
from ulmfit_lib.errors import OptionError


@command("mcp", example="mcp data")
def mcp_command(
    folder: Annotated[Path, typer.Argument(help="The only folder whose files an agent may read and write.")],
) -> None:
    """Let an agent train and use classifiers in a folder, by the Model Context Protocol over stdin and stdout."""
    from ulmfit_lib.progress import set_quiet

    try:
        from ulmfit_lib.cli.mcp_tools import build_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise OptionError("mcp needs one more package: pip install 'ulmfit-lib[mcp]'") from error
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder; name the one that holds the files for the agent")
    set_quiet(True)  # what an agent's program shows of standard error is no place for progress bars
    build_server(folder).run("stdio")
