"""Loads damaged files, one after the other, and counts what each came to. See `test_preset_fuzz`.

Run as `fuzz_child.py KIND FOLDER WORK MUTATIONS`.
"""

import json
import pathlib
import random
import re
import shutil
import signal
import sys

import keras
import numpy as np
from resealed import reseal, write_sums

import keras_tdn
from keras_tdn.pretrained import load_preset
from keras_tdn.pretrained.preset_files import LOGITS_FILE, SUMS_FILE
from keras_tdn.pretrained.weights import load_weights

SECONDS = 20
# What none of these files has a reason to make happen.
FORBIDDEN = (
    "os.system",
    "subprocess.",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "socket.",
    "pickle.",
    "marshal.",
    "shutil.",
    "ctypes.dlopen",
    "exec",
    "compile",
)
STRUCTURE = re.compile(rb"TREE|SNOD|HEAP|OHDR|GCOL|\x89HDF")
INTERESTING = (
    b"\0" * 8,
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\x80",
    b"\xff\xff\xff\x7f",
    b"{",
    b'"',
)
armed = False


def watch(event, arguments):
    if armed and event.startswith(FORBIDDEN):
        sys.stdout.write(f"FORBIDDEN {event} {arguments!r}\n")
        sys.stdout.flush()
        # An exception could be caught on the way.
        signal.raise_signal(signal.SIGKILL)


def mutate(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = position(data, rng)
        length = rng.choice((1, 2, 8, 64))
        match rng.randrange(8):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at:at] = rng.randbytes(length)
            case 5:
                value = rng.choice(INTERESTING)
                data[at : at + len(value)] = value
            case 6:
                del data[at:]
            case 7:
                digits = [m.start() for m in re.finditer(rb"[0-9]", bytes(data[:4096]))]
                if digits:
                    data[rng.choice(digits)] = rng.choice(b"0123456789")
        if not data:
            break
    return bytes(data)


def position(data, rng):
    """Half the time where a binary file keeps its structure, which is little of it."""
    if rng.random() < 0.5:
        places = [match.start() for match in STRUCTURE.finditer(data)]
        places = places or [0]
        return min(rng.choice(places) + rng.randrange(96), len(data) - 1)
    return rng.randrange(len(data))


def small_model():
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=2, num_segments=2)


def values(model):
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


class Presets:
    """Damage to one file of a preset folder, with the hashes left, redone, or all redone."""

    def __init__(self, kind, source, work):
        self.folder = work / "preset"
        shutil.copytree(source / "preset", self.folder)
        name, _, self.hashes = kind.partition("_")
        self.path = (
            self.folder
            / {
                "config": "config.json",
                "logits": LOGITS_FILE,
                "sums": SUMS_FILE,
                "weights": "model.weights.h5",
            }[name]
        )
        self.contents = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.model = load_preset(self.folder)
        self.expected = self.state(self.model)
        self.is_config = name == "config"

    def state(self, model):
        config = model.get_config()
        return config, model.labels, model.clip_spec, values(model)

    def load(self, data):
        for path, content in self.contents.items():
            path.write_bytes(content)
        self.path.write_bytes(data)
        if self.hashes == "sealed":
            reseal(self.folder)
        if self.hashes:
            write_sums(self.folder)
        model = load_preset(self.folder)
        config, labels, spec, arrays = self.state(model)
        if self.is_config and self.hashes == "sealed":
            # Whoever redoes every hash may state other arguments; they must be the ones stated,
            # which the constructor checked, with the right weights.
            stated = json.loads(data)
            assert model.num_segments == stated["model"]["arguments"]["num_segments"]
            assert list(labels or ()) == list(stated["labels"] or ())
            return same(arrays, self.expected[3])
        assert (config, labels, spec) == self.expected[:3]
        return same(arrays, self.expected[3])


class WeightsFiles:
    """Damage to one weights file, with or without a `SHA256SUMS` beside it."""

    def __init__(self, kind, source, work):
        self.listed, _, form = kind.partition("_")
        name = {"weights": "preset/model.weights.h5", "safetensors": "resnet.safetensors"}[form]
        self.path = work / pathlib.Path(name).name
        shutil.copy(source / name, self.path)
        self.contents = {self.path: self.path.read_bytes()}
        if self.listed == "listed":
            write_sums(work, [self.path.name])
        self.model = small_model()
        self.before = values(self.model)
        load_weights(self.model, self.path)
        self.expected = values(self.model)

    def load(self, data):
        for weight, value in zip(self.model.weights, self.before, strict=True):
            weight.assign(value)
        self.path.write_bytes(data)
        try:
            load_weights(self.model, self.path)
        except ValueError:
            assert same(values(self.model), self.before) == "equal", "half loaded"
            raise
        return same(values(self.model), self.expected)


def same(arrays, expected):
    assert all(np.all(np.isfinite(array)) for array in arrays)
    if all(np.array_equal(a, b) for a, b in zip(arrays, expected, strict=True)):
        return "equal"
    return "other numbers"


def main(kind, source, work, mutations):
    global armed
    source, work = pathlib.Path(source), pathlib.Path(work)
    single = kind.startswith(("bare", "listed"))
    target = (WeightsFiles if single else Presets)(kind, source, work)
    path = target.path
    original = target.contents[path]
    target.load(original)
    counts = {}
    sys.addaudithook(watch)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in range(int(mutations)):
        data = mutate(original, random.Random(f"{kind} {number}"))
        armed = True
        signal.alarm(SECONDS)
        try:
            outcome = target.load(data)
        except (ValueError, OSError) as error:
            outcome = "error" if str(error) else "an error without words"
        except Exception as error:
            outcome = f"{type(error).__name__} at {number}: {error}"[:300]
        finally:
            signal.alarm(0)
            armed = False
        counts[outcome] = counts.get(outcome, 0) + 1
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
