"""Names what happens in a video: python examples/label_video.py VIDEO PRESET"""

import sys

import keras_tdn


def main(video: str, preset: str) -> None:
    model = keras_tdn.pretrained.load_preset(preset)
    for prediction in keras_tdn.predict_video(model, video, top=5):
        print(f"{prediction.score:.3f}  {prediction.label}")


if __name__ == "__main__":
    main(*sys.argv[1:])
