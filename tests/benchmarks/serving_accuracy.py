"""What fewer bits cost on real video: top-1 of one preset in each exported form.

    pip install '.[openvino,litert]'
    python tests/benchmarks/serving_accuracy.py PRESET LIST

One centre view of each video of the list, the same pixels for all forms.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_tdn
from keras_tdn.data.decoding import read_frames
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.export import export_portable, export_saved_model

REFERENCE = "saved_model float32"


def saved_model(model, folder, dtype):
    import tensorflow as tf

    path = export_saved_model(model, folder / "1", dtype=dtype, warm_up=False)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    return lambda clip, loaded=loaded: serve(clips=tf.constant(clip))["scores"].numpy()


def openvino(model, folder, dtype):
    import openvino as runtime

    stored = dtype if dtype == "float16" else "float32"
    path = export_portable(model, folder / "model", "openvino", dtype=stored)
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32"}
    core = runtime.Core()
    compiled = core.compile_model(core.read_model(path / "model.xml"), "CPU", hint)
    return lambda clip: compiled({"clips": clip})[compiled.output(0)]


def litert(model, folder, dtype):
    from ai_edge_litert.interpreter import Interpreter

    path = export_portable(model, folder / "model", "litert", dtype=dtype)
    interpreter = Interpreter(str(path / "model.tflite"), num_threads=2)
    interpreter.allocate_tensors()
    question = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]

    def run(clip):
        interpreter.set_tensor(question, clip)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return run


FORMS = {
    REFERENCE: (saved_model, "float32"),
    "saved_model bfloat16": (saved_model, "bfloat16"),
    "openvino bfloat16": (openvino, "bfloat16"),
    "openvino float16": (openvino, "float16"),
    "litert float16": (litert, "float16"),
    "litert int8": (litert, "int8"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("preset")
    parser.add_argument("list")
    args = parser.parse_args()
    model = keras_tdn.pretrained.load_preset(args.preset)
    records = keras_tdn.data.load_records(args.list)
    spec = model.clip_spec

    def choose(num_frames):
        return SegmentSampler(spec.num_segments, spec.frames_per_segment)(num_frames).ravel()

    clips = [resize_and_center_crop(read_frames(record.path, choose), spec) for record in records]
    labels = np.array([record.label for record in records])
    reference = None
    for name, (make, dtype) in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            run = make(model, Path(folder), dtype)
            scores = np.concatenate([run(clip[None]) for clip in clips])
        reference = scores if reference is None else reference
        print(
            f"{name:<22} top-1 {(scores.argmax(1) == labels).mean():6.1%} of {len(labels)}, "
            f"{(scores.argmax(1) != reference.argmax(1)).sum()} answers differ from float32's, "
            f"scores by {np.abs(scores - reference).max():.4f} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
