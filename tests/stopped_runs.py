"""Runs that stop after so many batches, for tests that go on with them."""


class StoppedError(Exception):
    """What a run ends with that is told to stop."""


class Stopping:
    """Lets a method be called so often, then raises `StoppedError`.

    Args:
        monkeypatch: Of pytest; it puts the method back.
        owner: The class.
        name: Name of its method.
    """

    def __init__(self, monkeypatch, owner, name):
        self.calls = 0
        self._limit = None
        method = getattr(owner, name)

        def counted(*arguments):
            if self.calls == self._limit:
                raise StoppedError
            self.calls += 1
            return method(*arguments)

        monkeypatch.setattr(owner, name, counted)

    def after(self, limit):
        """Sets how many calls may follow, `None` for all, and counts anew."""
        self.calls, self._limit = 0, limit
