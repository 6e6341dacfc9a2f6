"""`python -m keras_tdn`, the same as `keras-tdn`."""

import os
import sys

# Python puts the current folder first, as no installed command does: a `json.py` beside the videos
# would be imported.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

from keras_tdn.cli import main

if __name__ == "__main__":
    sys.exit(main())
