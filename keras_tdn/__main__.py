"""`python -m keras_tdn`, the same as `keras-tdn`."""

import sys

from keras_tdn.cli import main

if __name__ == "__main__":
    sys.exit(main())
