"""Errors of this package that come out of a pipeline wrapped up in TensorFlow's."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator

from keras_tdn.data.failures import TooManyFailuresError

# How TensorFlow puts it: the class, the text, and a blank line before the traceback.
WRAPPED = re.compile(rf"{TooManyFailuresError.__name__}: (.+?)(?:\n|$)")


@contextlib.contextmanager
def input_errors_in_words() -> Iterator[None]:
    """Within the block, the pipeline's own error comes out as it was raised.

    Keras' warning that data ran out is kept off: bad records make the end of a validation set
    come earlier than was to be expected, and nothing is wrong with that.

    Raises:
        TooManyFailuresError: if too many records cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            yield
    except Exception as error:
        found = WRAPPED.search(str(error))
        if found is None or isinstance(error, ValueError):
            raise
        raise TooManyFailuresError(found[1]) from error
