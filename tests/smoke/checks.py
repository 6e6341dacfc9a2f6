"""Labels videos inside an environment of tests/smoke/run.py, and notes how.

python checks.py VIDEO RESULT.json
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from real_videos import FIXTURES

PACKAGES = ("av", "h5py", "huggingface-hub", "jax", "keras", "numpy", "tensorflow", "torch")
# Convolutions of other backends sum in another order.
BACKEND_TOLERANCE = 1e-3
SCORES = """
import json, sys
import keras_tdn
model = keras_tdn.pretrained.load_preset("motion")
answers = {}
for path in json.load(sys.stdin):
    try:
        found = keras_tdn.predict_video(model, path, top=12)
    except ValueError as error:
        answers[path] = {"error": type(error).__name__}
    else:
        scores = [item.score for item in sorted(found, key=lambda item: item.index)]
        answers[path] = {"label": found[0].label, "scores": scores}
print(json.dumps(answers))
"""


def scores(paths, backend):
    result = subprocess.run(
        [sys.executable, "-P", "-c", SCORES],
        env={**os.environ, "KERAS_BACKEND": backend},
        input=json.dumps([str(path) for path in paths]),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    answers = json.loads(result.stdout.splitlines()[-1])
    return {Path(path).name: answer for path, answer in answers.items()}


def main():
    video, output = sys.argv[1:]
    answers = scores([video, *FIXTURES], "tensorflow")
    name = Path(video).name
    assert "error" not in answers[name], answers[name]
    backends = {"tensorflow": "labels videos"}
    for backend in ("jax", "torch"):
        if importlib.util.find_spec(backend) is None:
            backends[backend] = "not installed"
            continue
        theirs = scores([video], backend)[name]["scores"]
        off = max(abs(a - b) for a, b in zip(answers[name]["scores"], theirs, strict=True))
        assert off <= BACKEND_TOLERANCE, f"{backend}: a score is off by {off}"
        backends[backend] = f"scores off by {off:.0e}"
    versions = {
        package: importlib.metadata.version(package)
        for package in PACKAGES
        if importlib.util.find_spec(package.replace("-", "_")) is not None
    }
    # The demo's video is encoded anew by each release.
    del answers[name]
    content = {"answers": answers, "backends": backends, "versions": versions}
    Path(output).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
