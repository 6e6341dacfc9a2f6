#!/usr/bin/env bash
# Exports written here, asked in plain TensorFlow of the releases that are inside TensorFlow Serving:
#   tests/export/serving_pairs/run.sh [PYTHON WITH keras-tdn[serving]] [FOLDER OF THE ENVIRONMENTS]
# Environments are made with uv, on the same Python, unless they are there; UV has its path.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=${1:-.venv/bin/python}
folder=${2:-.venv-serving}
# Newest last. The image in examples/serving/compose.yaml is the newest.
releases=(2.19.1 2.20.0)
here=tests/export/serving_pairs
# As examples/serving/compose.yaml sets it.
export TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=1 CUDA_VISIBLE_DEVICES=-1

uv=${UV:-$(command -v uv || echo "$(dirname "$python")/uv")}
[ -x "$uv" ] || "$python" -m pip install --quiet uv

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
KERAS_BACKEND=tensorflow PYTHONPATH=.:tests/export "$python" $here/write_exports.py "$work"
PYTHONPATH=tests/export "$python" $here/answer.py "$work" "$work/expected.npz"
for release in "${releases[@]}"; do
  venv=$folder/$release
  if [ ! -x "$venv/bin/python" ]; then
    "$uv" venv --quiet --python "$python" "$venv"
    # The second for the server's own messages, which the warm-up file is made of.
    "$uv" pip install --quiet --python "$venv/bin/python" "tensorflow==$release" \
      "tensorflow-serving-api==$release"
  fi
  PYTHONPATH=tests/export "$venv/bin/python" $here/answer.py "$work" "$work/$release.npz" \
    "$work/expected.npz"
done
