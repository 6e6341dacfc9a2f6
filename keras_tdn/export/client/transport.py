"""What a client needs of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class Transport(Protocol):
    """A way to a server."""

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: float
    ) -> dict[str, np.ndarray]:
        """Asks one signature; the answer has an array for each of its outputs.

        Args:
            signature: Its name.
            inputs: uint8 pixels, or bytes in arrays of objects.
            deadline: Seconds until the answer is of no use.

        Raises:
            ServingError: if there is none to use.
        """

    def signatures(self, deadline: float) -> dict[str, Any]:
        """Names of the signatures that the model has."""

    def close(self) -> None:
        """Gives the connection back."""
