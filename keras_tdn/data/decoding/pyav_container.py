"""Opens videos with PyAV: the one place that does, for files and for streams."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import av

from keras_tdn.data.decoding.interface import VideoDecodeError

# FFmpeg's containers and raw streams that hold the video themselves. Playlists, scripts and
# numbered pictures name other files, so that whoever made the file would choose what is read.
# FFmpeg gets this list, and refuses the rest before it opens anything.
VIDEO_FORMATS = frozenset({
    "4xm", "amv", "anm", "apng", "apv", "argo_brp", "asf", "asf_o", "av1", "avi", "avs", "avs2",
    "avs3", "bethsoftvid", "bfi", "bink", "bmv", "c93", "cavsvideo", "cdxl", "cine", "dfa", "dhav",
    "dirac", "dnxhd", "dsicin", "dv", "dxa", "ea", "evc", "film_cpk", "filmstrip", "flic", "flv",
    "gdv", "gif", "gxf", "h261", "h263", "h264", "hevc", "hnm", "hxvs", "idcin", "iff", "ifv",
    "ingenient", "ipmovie", "ipu", "iv8", "ivf", "ivr", "jpegxl_anim", "jv", "kux", "live_flv",
    "lmlm4", "luodat", "lvf", "lxf", "m4v", "matroska", "mgsts", "mjpeg", "mjpeg_2000", "mm",
    "mods", "moflex", "mov", "mp4", "mpeg", "mpegts", "mpegtsraw", "mpegvideo", "mpjpeg",
    "msnwctcp", "mtv", "mv", "mvi", "mxf", "mxg", "nc", "nsv", "nut", "nuv", "obu", "ogg", "paf",
    "pdv", "pmp", "psxstr", "pva", "r3d", "rl2", "rm", "roq", "rpl", "sdr2", "ser", "sga", "siff",
    "simbiosis_imx", "smjpeg", "smk", "smush", "swf", "thp", "tiertexseq", "tmv", "ty", "usm",
    "vc1", "vc1test", "vividas", "vivo", "vmd", "vvc", "wc3movie", "webm", "webp_anim", "wsvqa",
    "wtv", "xmv", "yop", "yuv4mpegpipe",
})  # fmt: skip
# A picture is a video of one frame.
PICTURE_FORMATS = frozenset({
    "bmp_pipe", "cri_pipe", "dds_pipe", "dpx_pipe", "exr_pipe", "gem_pipe", "gif_pipe", "hdr_pipe",
    "ico", "j2k_pipe", "jpeg_pipe", "jpegls_pipe", "jpegxl_pipe", "jpegxs_pipe", "pam_pipe",
    "pbm_pipe", "pcx_pipe", "pfm_pipe", "pgm_pipe", "pgx_pipe", "phm_pipe", "photocd_pipe",
    "pictor_pipe", "png_pipe", "ppm_pipe", "psd_pipe", "qdraw_pipe", "qoi_pipe", "sgi_pipe",
    "sunrast_pipe", "tiff_pipe", "vbn_pipe", "webp_pipe", "xbm_pipe", "xpm_pipe", "xwd_pipe",
})  # fmt: skip
# Opened to say that they have sound alone.
SOUND_FORMATS = frozenset({
    "aac", "ac3", "ac4", "aiff", "amr", "ape", "au", "caf", "dsf", "dts", "eac3", "flac", "loas",
    "mlp", "mp3", "tak", "truehd", "tta", "voc", "w64", "wav", "wv",
})  # fmt: skip
FILE_FORMATS = VIDEO_FORMATS | PICTURE_FORMATS | SOUND_FORMATS

# More pixels than frames of any video have. A damaged header may ask for more, and for the memory.
MAX_PIXELS = 2**26

# Tags need not be UTF-8. From PyAV 19 on they are never a reason to fail.
_ANY_TAGS = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "ignore"}


def open_input(
    opened: str | BinaryIO,
    *,
    formats: frozenset[str] = FILE_FORMATS,
    protocols: str = "file",
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> av.container.InputContainer:
    """Opens a file object or FFmpeg's address, `file:` and the path for files, as `av.open` does.

    `formats`, `protocols` and `options` are FFmpeg's, and `timeout` is in seconds.
    """
    limits = {
        "format_whitelist": ",".join(sorted(formats if format is None else {*formats, format})),
        "protocol_whitelist": protocols,
    }
    return av.open(
        opened, format=format, options={**limits, **(options or {})}, timeout=timeout, **_ANY_TAGS
    )


@contextlib.contextmanager
def open_container(name: str, opened: str | BinaryIO) -> Iterator[av.container.InputContainer]:
    """Opens a path or a seekable file object, which errors (`VideoDecodeError`) call `name`."""
    if isinstance(opened, str):
        # The prefix keeps a file name with a colon from being taken for a network address.
        opened = f"file:{opened}"
    else:
        opened.seek(0)
    try:
        container = open_input(opened)
    except (av.FFmpegError, OSError) as error:
        raise VideoDecodeError(f"Cannot read {name}: {why_not_opened(error)}") from error
    with container:
        yield container


def why_not_opened(error: Exception) -> str:
    """Says what is wrong with a file that does not open, and what to do."""
    if getattr(error, "errno", None) == errno.EINVAL:
        return (
            "it is not a video of a format that is read here, or its header is damaged "
            f"({reason(error)}). Playlists and other files that name files are not read: pass "
            "the video itself."
        )
    return (
        f"it is not a video, or one cut short before its index ({reason(error)}). Check that it "
        "plays, and fetch or encode it again if not."
    )


def video_stream(name: str, container: av.container.InputContainer) -> av.VideoStream:
    """Returns the first stream of moving pictures, or of a still one where there are none."""
    found, stills = [], []
    for stream in container.streams:
        kind = stream.type
        if kind == "video":
            if stream.disposition & av.stream.Disposition.attached_pic:
                kind = "a cover picture"
            elif stream.codec_context is None:
                kind = "video in an unknown format"
            elif stream.frames == 1 and stream.duration is None:
                # An animated AVIF begins with its first frame as a picture of its own.
                stills.append(stream)
            else:
                return stream
        found.append(kind)
    if stills:
        return stills[0]
    raise VideoDecodeError(
        f"Cannot read {name}: it has no video that PyAV can decode, only "
        f"{', '.join(found) or 'a header'}. Pass a file with moving pictures."
    )


def prepare_codec(stream: av.VideoStream, num_threads: int | None, strict: bool = False) -> None:
    """Sets what holds once decoding starts; a `strict` decoder reports all damage as errors."""
    codec = stream.codec_context
    codec.options = {"max_pixels": str(MAX_PIXELS), **({"err_detect": "explode"} if strict else {})}
    codec.thread_type = "AUTO"
    # Each thread holds a frame. Of huge ones, as many as there are processors would be gigabytes.
    most = max(1, MAX_PIXELS // max(1, codec.width * codec.height))
    if most < (num_threads or os.cpu_count() or 1):
        num_threads = most
    # libav takes 0 for as many as there are processors.
    codec.thread_count = num_threads or 0


def reason(error: Exception) -> str:
    """Returns what libav says went wrong, without the file name."""
    return str(getattr(error, "strerror", None) or error)
