"""`ltt-stream trajectory …`"""

from __future__ import annotations

import click

from pipeline.cli_synthesis import sample, train_trajectory


@click.group()
def trajectory() -> None:
    """Paths through a latent space: lines that are made up along them."""


trajectory.add_command(sample)
trajectory.add_command(train_trajectory)
