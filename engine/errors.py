"""The one exception root of the engine: every message says what is wrong, where, and how to mend it."""


class EngineError(Exception):
    """A user-facing failure of an engine step; its text is one clear sentence, shown without a traceback."""


class InputError(EngineError):
    """What the user asked for cannot be done as asked; nothing was started, nothing written. Commands exit with 2."""
