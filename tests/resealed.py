"""Putting a preset's hashes right after a change, as somebody would who wants it unnoticed."""

import contextlib
import hashlib
import json

from keras_tdn.pretrained.preset_files import FILES, LOGITS_FILE, SUMS_FILE
from keras_tdn.pretrained.recorded_logits import hash_labels


def reseal(preset):
    """Makes every hash in a preset's folder fit what is there now."""
    path = preset / LOGITS_FILE
    record = json.loads(path.read_bytes())
    record["config_sha256"] = sha256(preset / "config.json")
    record["weights_sha256"] = sha256(preset / "model.weights.h5")
    # A config that is damaged has no labels.
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        labels = json.loads((preset / "config.json").read_bytes())["labels"]
        record["labels_sha256"] = hash_labels(labels)
    path.write_text(json.dumps(record))
    write_sums(preset)


def write_sums(folder, names=FILES):
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names]
    (folder / SUMS_FILE).write_text("".join(lines))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
