"""The one error of this package."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says what did not happen, to what, and what to do."""
