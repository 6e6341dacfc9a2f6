"""Label a video with a server.

    python serve_request.py video.mp4 grpc://localhost:8500 [model [quality]]

Frames are sent without loss, or as JPEG files of that quality, 1 to 100.
"""

import sys

from keras_tdn.export.client import ServingError, connect


def main(video, url, model="tdn", quality=None):
    with connect(url, model, deadline=30) as client:
        try:
            predictions = client.label_video(video, None if quality is None else int(quality))
        except ServingError as error:
            sys.exit(f"{type(error).__name__}: {error}")
    for prediction in predictions:
        print(f"{prediction.score:6.1%}  {prediction.label}")


if __name__ == "__main__":
    main(*sys.argv[1:])
