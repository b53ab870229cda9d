"""The training commands alone, for subprocesses of tests."""

import click

from pipeline.cli_train import evaluate, model, train

main = click.Group(commands={"train": train, "evaluate": evaluate, "model": model})

if __name__ == "__main__":
    main()
