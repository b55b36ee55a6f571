"""The demo: a real cluster, Outrider installed, a torchrun job tracked rank by rank. `python -m tools.demo up`."""
