#!/usr/bin/env bash
# Tries the decoder 'tfio' for real, in an environment of its own, which it makes unless it is there:
#   tests/tfio/run.sh [FOLDER OF THE ENVIRONMENT]
# With the path of uv in UV, uv makes it, in less time.
# tensorflow-io's last release loads only beside TensorFlow 2.16 and FFmpeg 4. The wheel of decord
# 0.6.0 carries FFmpeg 4 under mangled names; here they are linked under their plain ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${1:-.venv-tfio}
python=${PYTHON:-python3.11}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow

if [ ! -x "$venv/bin/python" ]; then
  if [ -n "${UV:-}" ]; then
    "$UV" venv --quiet --python "$python" "$venv"
    install=("$UV" pip install --quiet --python "$venv/bin/python")
  else
    "$python" -m venv "$venv"
    install=("$venv/bin/pip" install)
  fi
  "${install[@]}" 'tensorflow==2.16.2' 'keras>=3.15,<4' 'tensorflow-io==0.37.1' \
    'tensorflow-io-gcs-filesystem==0.37.1' 'av>=17,<20' filelock lazy-loader 'pytest>=8.3'
  "${install[@]}" --no-deps 'decord==0.6.0'
fi

libraries=$("$venv/bin/python" tests/tfio/link_ffmpeg4.py "$venv/ffmpeg4")
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PYTHONPATH=. \
  "$venv/bin/python" -m pytest -q tests/data/test_tfio_decoder.py
