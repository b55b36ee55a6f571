"""Says of each name on standard input's list whether this release of the SDK has it."""

import inspect
import json
import sys

import wandb
import wandb.apis.public as public
from wandb.sdk.wandb_run import Run

OWNERS = {
    "Run": Run,
    "Api": wandb.Api,
    "public.Run": public.Run,
    "File": public.File,
    "wandb": wandb,
    "wandb.plot": wandb.plot,
}
# Some attributes are set when a run is made, and its class does not have them.
SOURCE = inspect.getsource(Run)


def has(name):
    """`Owner.member` or `Owner.member(argument)`."""
    path, _, argument = name.partition("(")
    owner, _, member = path.rpartition(".")
    if not hasattr(OWNERS[owner], member) and not (owner == "Run" and f"self.{member} = " in SOURCE):
        return False
    if not argument:
        return True
    return argument.rstrip(")") in inspect.signature(getattr(OWNERS[owner], member)).parameters


with open(sys.argv[1]) as names, open(sys.argv[2], "w") as answer:
    json.dump({name: has(name) for name in json.load(names)}, answer)
