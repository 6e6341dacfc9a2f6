"""Reading the numbers recorded from the authors' implementation; see golden/README.md."""

import importlib.util
import json
import pathlib
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "golden"
VALUES_PER_TAP = 512
# Of the networks in the tables of shapes.
WIDTH = 64


def path(name):
    file = FOLDER / name
    if not file.exists():
        raise FileNotFoundError(
            f"{file} is missing, and parity cannot be tested without it. "
            "Restore it with: git checkout -- tests/golden"
        )
    return file


def arrays(name):
    return dict(np.load(path(name)))


def shapes(name, classes=None, width=WIDTH):
    """Shapes of the authors' state dict, with another number of classes or width if asked."""
    table = json.loads(path(f"{name}_state_dict_shapes.json").read_text())
    if width != WIDTH:
        # Channels are multiples of the narrowest part's, which has an eighth of the width.
        table = {
            key: [size * width // WIDTH if size % 8 == 0 else size for size in shape]
            for key, shape in table.items()
        }
    if classes is not None:
        for key in ("new_fc.weight", "new_fc.bias"):
            table[key] = [classes, *table[key][1:]]
    return table


def state(name, classes=None, width=WIDTH):
    return synthetic.synthetic_state(shapes(name, classes, width))


def clip(seed, batch, frames, size, crc32=None):
    pixels = synthetic.synthetic_clip(seed, batch, frames, size, size)
    if crc32 is not None:
        assert zlib.crc32(pixels.tobytes()) == int(crc32), "the golden's input is another clip"
    return pixels


def tap_values(name, array):
    """The values of a tap that the golden recorded."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"tap:{name}".encode())))
    count = min(VALUES_PER_TAP, array.size)
    return array.ravel()[np.sort(rng.choice(array.size, size=count, replace=False))]


def relative_error(actual, expected):
    """Norm of the difference over the norm of the reference."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def _load_synthetic():
    spec = importlib.util.spec_from_file_location("golden_synthetic", path("synthetic.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


synthetic = _load_synthetic()
