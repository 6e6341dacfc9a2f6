"""Makes the clips in this folder and records how ffmpeg shows them, in shown.json.

    python tests/golden/shown/make_shown.py

needs PyAV 18 with libx264, and the program ffmpeg. The numbers beside this file are those of ffmpeg
5.1.9 (Debian 12) on x86-64; `ffmpeg` in the JSON names the one that made them.
"""

import io
import json
import struct
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FOLDER = Path(__file__).parent
PATCH = 32
COLORS = [
    (0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30),
    (30, 200, 30), (30, 30, 200), (224, 172, 105), (20, 180, 180),
    (180, 20, 180), (200, 200, 20), (60, 90, 40), (250, 130, 20),
]  # fmt: skip
ROWS, COLUMNS = 3, 4
# Luma weights of red and blue; FFmpeg's numbers of matrix, primaries and transfer.
MATRICES = {
    "bt601": ((0.299, 0.114), (6, 6, 6)),
    "bt709": ((0.2126, 0.0722), (1, 1, 1)),
    "bt2020": ((0.2627, 0.0593), (9, 9, 14)),
}
LIMITED, FULL = 1, 2

ONE = 1 << 16
# (a, b, c, d) of the display matrix: a step to the right leads by (a, b), one down by (c, d).
ORIENTATIONS = {
    "identity": (1, 0, 0, 1),
    "left_right": (-1, 0, 0, 1),
    "upside_down": (1, 0, 0, -1),
    "turned_180": (-1, 0, 0, -1),
    "turned_90": (0, 1, -1, 0),
    "turned_270": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed_otherwise": (0, -1, -1, 0),
    "nothing": (0, 0, 0, 0),
    "no_height": (1, 0, 0, 0),
    "no_width": (0, 0, 0, 1),
    "doubled": (2, 0, 0, 2),
    "turned_0.4": (0.99998, 0.00698, -0.00698, 0.99998),
    "turned_89.6": (0.00698, 0.99998, -0.99998, 0.00698),
    # FFmpeg makes the shape of the pixels out of these.
    "widened": (2, 0, 0, 1),
    "widened_left_right": (-2, 0, 0, 1),
}
# Of the pixels' width to their height.
SQUARE = "scale=iw*sar:ih"
RATIOS = ["1:1", "2:1", "1:2", "16:15", "8:9", "128:117"]


def stored_values(matrix, color_range, bits, color):
    """Y, Cb and Cr by ITU-R BT.601, BT.709 and BT.2020, section 3."""
    (kr, kb), _ = MATRICES[matrix]
    red, green, blue = (value / 255 for value in color)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    step, most = 1 << bits - 8, (1 << bits) - 1
    if color_range == FULL:
        values = y * most, cb * most + 128 * step, cr * most + 128 * step
    else:
        values = (219 * y + 16) * step, (224 * cb + 128) * step, (224 * cr + 128) * step
    return [round(min(max(value, 0), most)) for value in values]


def encode(frame, tags, color_range, ratio=None):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as output:
        options = {"qp": "2", "threads": "1", "flags": "+bitexact", "x264-params": "log-level=none"}
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        codec = stream.codec_context
        if tags:
            codec.colorspace, codec.color_primaries, codec.color_trc = tags
            codec.color_range = color_range
            frame.colorspace, frame.color_range = tags[0], color_range
        if ratio:
            codec.sample_aspect_ratio = Fraction(*map(int, ratio.split(":")))
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def color_clip(matrix, color_range, bits, tagged):
    frame = av.VideoFrame(COLUMNS * PATCH, ROWS * PATCH, "yuv420p" if bits == 8 else "yuv420p10le")
    stored = np.array([stored_values(matrix, color_range, bits, color) for color in COLORS])
    for plane, values in zip(frame.planes, stored.T, strict=True):
        side = PATCH if plane.width == frame.width else PATCH // 2
        pixels = values.reshape(ROWS, COLUMNS).repeat(side, 0).repeat(side, 1)
        pixels = np.ascontiguousarray(pixels, np.uint8 if bits == 8 else "<u2").view(np.uint8)
        lines = np.zeros((plane.height, plane.line_size), np.uint8)
        lines[:, : pixels.shape[1]] = pixels
        plane.update(lines.tobytes())
    return encode(frame, MATRICES[matrix][1] if tagged else None, color_range)


def quadrants(ratio=None):
    """Red, green above blue, white: no two orientations look alike."""
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :32], pixels[:16, 32:] = (220, 20, 20), (20, 220, 20)
    pixels[16:, :32], pixels[16:, 32:] = (20, 20, 220), (240, 240, 240)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    return encode(frame, None, None, ratio)


def with_matrix(video, matrix):
    """The clip with that matrix in its track header."""
    a, b, c, d = (round(value * ONE) for value in matrix)
    start = video.index(b"tkhd") + 4 + 40
    packed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return video[:start] + packed + video[start + len(packed) :]


def shown_by_ffmpeg(video, filters="null"):
    """The first frame, after what ffmpeg does by itself and these filters."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        path.write_bytes(video)
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", filters, "-frames:v", "1"]
        ppm = subprocess.run(
            [*command, "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-"],
            check=True, capture_output=True,
        ).stdout  # fmt: skip
    _, size, _, pixels = ppm.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def centers(frame, rows, columns):
    height, width = frame.shape[:2]
    picked = frame[height // rows // 2 :: height // rows, width // columns // 2 :: width // columns]
    return picked.reshape(-1, 3).tolist()


def main():
    version = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True)
    shown = {
        "ffmpeg": version.stdout.split()[2],
        "painted": COLORS,
        "colors": {},
        "orientations": {},
        "ratios": {},
    }
    kinds = [
        (f"{matrix}_{name}_{bits}", matrix, color_range, bits, True)
        for matrix in MATRICES
        for name, color_range in (("limited", LIMITED), ("full", FULL))
        for bits in (8, 10)
    ]
    for name, *kind in [*kinds, ("untagged", "bt601", LIMITED, 8, False)]:
        video = color_clip(*kind)
        (FOLDER / f"{name}.mp4").write_bytes(video)
        shown["colors"][name] = centers(shown_by_ffmpeg(video), ROWS, COLUMNS)
    video = quadrants()
    (FOLDER / "quadrants.mp4").write_bytes(video)
    for name, matrix in ORIENTATIONS.items():
        frame = shown_by_ffmpeg(with_matrix(video, matrix), SQUARE)
        shown["orientations"][name] = {
            "matrix": matrix, "size": frame.shape[:2], "colors": centers(frame, 2, 2)
        }  # fmt: skip
    for ratio in RATIOS:
        (FOLDER / f"ratio_{ratio.replace(':', '_')}.mp4").write_bytes(quadrants(ratio))
        frame = shown_by_ffmpeg(quadrants(ratio), SQUARE)
        shown["ratios"][ratio] = frame.shape[:2]
    (FOLDER / "shown.json").write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
