"""What this installation can do, and what to do about what it cannot: `keras-tdn doctor`.

It is asked when something is broken, so it imports nothing that could be: probes look at what may
crash or hang, in processes of their own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import getpass
import importlib.metadata
import io
import json
import os
import platform
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keras_tdn.gpus import (
    BACKEND_NAMES,
    gpus_are_hidden,
    has_nvidia_gpu,
    nvidia_gpu_names,
    unseen_gpu_advice,
    visible_accelerators,
)
from keras_tdn.processes import ChildProcess, exit_reason

OK, WARNING, BROKEN = "ok", "warning", "broken"
DISTRIBUTION = "keras-tdn"
# How long an answer may take on a slow disk.
SECONDS = {"backend": 180.0, "tensorflow": 180.0, "video": 180.0, "hub": 20.0}
# What a backend needs to be reported beside what the package requires.
ALSO_REPORTED = ("jax", "jaxlib", "torch", "tensorflow-serving-api", "tensorflow-io")
LITTLE_SPACE, NO_SPACE = 5e9, 2e8
# What explains an odd answer; none of them holds a secret.
SETTINGS = (
    "KERAS_BACKEND",
    "CUDA_VISIBLE_DEVICES",
    "JAX_PLATFORMS",
    "TF_ENABLE_ONEDNN_OPTS",
    "HF_HUB_OFFLINE",
)
INSTRUCTION_SETS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
REINSTALL = "pip install --force-reinstall --no-cache-dir"
HUB_SECONDS = 5.0
# Of the videos that people have, with the decoders for each. FFmpeg's own for AV1 needs a GPU.
CODECS = {
    **{name: (name,) for name in ("h264", "hevc", "vp8", "vp9", "mpeg4", "mjpeg", "prores")},
    "av1": ("libdav1d", "libaom-av1"),
}
SIZE, NUM_FRAMES = (48, 64), 8

Facts = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What it is.
        status: `"ok"`, `"warning"`, or `"broken"` if training and labelling cannot work like this.
        found: What was found, in a line.
        advice: What to do about it; `None` if nothing needs to be done.
    """

    name: str
    status: str
    found: str
    advice: str | None = None


def examine() -> list[Finding]:
    """Looks at everything, in about the time that importing the backend takes.

    Nothing is written but temporary files, and nothing is sent but one request to the Hugging Face
    Hub, which `HF_HUB_OFFLINE` prevents.
    """
    configured = _configured_backend()
    # Which then is looked at once.
    names = [name for name in PROBES if name != configured]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as threads:
        facts = dict(zip(names, threads.map(_run_probe, names), strict=True))
    backend = facts["backend"].get("backend") or configured
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "system": _system,
        "packages": _packages,
        "backend": lambda: _backend(facts["backend"], backend),
        "GPU": lambda: _gpu(facts["backend"], backend),
        "oneDNN": lambda: _onednn(facts.get("tensorflow", facts["backend"])),
        "data": lambda: _tensorflow(facts.get("tensorflow")),
        "video": lambda: _video(facts["video"]),
        "folders": lambda: _folders(facts["hub"]),
        "Hub": lambda: _hub(facts["hub"]),
        "settings": _settings,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings += list(check())
        except Exception as error:
            told = f"could not be looked at ({type(error).__name__}: {error})"
            findings.append(Finding(name, WARNING, told))
    # A bug report must not contain what may be secret.
    return [
        dataclasses.replace(
            finding,
            found=_private(finding.found),
            advice=None if finding.advice is None else _private(finding.advice),
        )
        for finding in findings
    ]


def is_healthy(findings: list[Finding]) -> bool:
    """Whether nothing is broken that training and labelling need."""
    return all(finding.status != BROKEN for finding in findings)


def as_text(findings: list[Finding]) -> str:
    """A table for people, with the advice below what it is about."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:7}  {finding.name:{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':7}  {'':{width}}  -> {finding.advice}")
    broken = [finding.name for finding in findings if finding.status == BROKEN]
    if broken:
        lines.append(f"Broken: {', '.join(broken)}. Training and labelling need it.")
    else:
        lines.append("Nothing is broken that training and labelling need.")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def as_json(findings: list[Finding]) -> str:
    """The same for a bug report."""
    report = {
        "healthy": is_healthy(findings),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


# === Probes: questions that may crash or hang a process, each asked in one of its own ===


def probe_backend(facts: Facts) -> None:
    """What Keras runs on, and whether it computes a convolution there."""
    import keras

    facts["backend"] = backend = keras.backend.backend()
    facts["devices"] = visible_accelerators(backend)
    if backend == "tensorflow":
        facts["onednn"] = _has_onednn()
    ones = keras.ops.ones((1, 8, 8, 3), "float32"), keras.ops.ones((3, 3, 3, 4), "float32")
    sums = keras.ops.convert_to_numpy(keras.ops.conv(*ones, padding="valid"))
    if abs(sums - 27.0).max() > 0.1:
        raise ValueError(f"a convolution of ones gave {sums.ravel()[0]} instead of 27")


def probe_tensorflow(facts: Facts) -> None:
    """TensorFlow, which reads the data whatever Keras runs on."""
    import tensorflow as tf

    facts["onednn"] = _has_onednn()
    numbers = list(tf.data.Dataset.range(3).as_numpy_iterator())
    if numbers != [0, 1, 2]:
        raise ValueError(f"tf.data counted {numbers}")


def probe_video(facts: Facts) -> None:
    """PyAV, its codecs, and whether a video that it writes is read by this package."""
    import av
    import numpy as np

    libraries = {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}
    facts["libraries"] = libraries
    facts["codecs"] = {name: any(map(_decodes, decoders)) for name, decoders in CODECS.items()}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(NUM_FRAMES):
            pixels = np.full((*SIZE, 3), 20 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    from keras_tdn.data.decoding import read_frames

    frames = read_frames(file.getvalue(), lambda num_frames: [0, num_frames - 1])
    if frames.shape != (2, *SIZE, 3) or not frames[0].max() < 20 < 100 < frames[1].min():
        raise ValueError("the frames of a video that was just written came back changed")


def probe_hub(facts: Facts) -> None:
    """Whether the Hugging Face Hub answers, unless the user keeps this machine off it."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    # Without the user and password that an address may contain.
    facts["host"] = urllib.parse.urlsplit(constants.ENDPOINT).hostname
    facts["cache"] = str(constants.HF_HUB_CACHE)
    facts["offline"] = bool(constants.HF_HUB_OFFLINE)
    if not facts["offline"]:
        facts["status"] = get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS).status_code


PROBES: dict[str, Callable[[Facts], None]] = {
    "backend": probe_backend,
    "tensorflow": probe_tensorflow,
    "video": probe_video,
    "hub": probe_hub,
}


def _has_onednn() -> bool | None:
    """Whether TensorFlow computes with oneDNN; `None` if this release does not say."""
    with contextlib.suppress(Exception):
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    return None


def _decodes(name: str) -> bool:
    import av

    with contextlib.suppress(ValueError, LookupError):
        return bool(av.codec.Codec(name, "r"))
    return False


def ask(name: str) -> Facts:
    """What one probe finds; what goes wrong on the way is the entry `error`."""
    facts: Facts = {}
    try:
        PROBES[name](facts)
    except Exception as error:
        facts["error"] = f"{type(error).__name__}: {error}"
    return facts


def serve(name: str, connection: Any) -> None:
    """Sends the facts of one probe."""
    connection.send(ask(name))


def _run_probe(name: str) -> Facts:
    # A GPU's memory is left to others.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if name != "backend":
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    try:
        process = ChildProcess(serve, name, silent=True, environment=environment)
    except OSError as error:
        return {"error": f"no process could be started: {error}"}
    try:
        if process.connection.poll(SECONDS[name]):
            return process.connection.recv()
        return {"error": f"no answer within {SECONDS[name]:g} s"}
    # Of a connection that its other end has left.
    except (EOFError, OSError):
        code = process.end(grace=5.0)
        killed = code is not None and code < 0
        return {"error": f"the process ended with {exit_reason(code)}", "killed": killed}
    finally:
        process.end()


# === What is made of facts ===


def _system() -> Iterator[Finding]:
    python = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("Python", OK, python)
    cores = os.cpu_count() or 1
    # Not on Windows and macOS.
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else cores
    known = _instruction_sets()
    told = f"{usable} of {cores} cores" + (f", {' '.join(sorted(known))}" if known else "")
    if known and platform.machine().lower() in ("x86_64", "amd64") and "avx" not in known:
        advice = "use another machine or another kind of virtual processor; without AVX, importing "
        advice += "TensorFlow ends with 'Illegal instruction'"
        told = f"{told}: no AVX, which TensorFlow's wheels need"
        yield Finding("processor", BROKEN, told, advice)
    else:
        yield Finding("processor", OK, told)


def _instruction_sets() -> set[str]:
    """Those that matter here, as Linux names them; nothing elsewhere."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
        flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
        return {*INSTRUCTION_SETS} & {*flags[1].split()} if flags else set()
    return set()


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or ()]
        own = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        required, own = [], None
        told = f"{DISTRIBUTION} is not installed"
        yield Finding("packages", WARNING, told, f"pip install {DISTRIBUTION}")
    versions, wrong = [], []
    for requirement in required:
        # Those of extras have a marker that asks for the extra.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
        versions.append(f"{requirement.name} {version}")
    versions += [f"{name} {_version(name)}" for name in ALSO_REPORTED if _version(name)]
    if own is not None:
        yield Finding("packages", OK, ", ".join([f"{DISTRIBUTION} {own}", *versions]))
    if wrong:
        advice = f"pip install --upgrade {DISTRIBUTION}"
        yield Finding("requirements", BROKEN, ", ".join(wrong), advice)


def _version(distribution: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return None


def _configured_backend() -> str:
    """What Keras would run on, where it could not be asked."""
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen:
        return chosen
    with contextlib.suppress(OSError, ValueError, AttributeError):
        config = json.loads((_keras_home() / "keras.json").read_text("utf-8"))
        return str(config.get("backend", "tensorflow"))
    return "tensorflow"


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _backend(facts: Facts, backend: str) -> Iterator[Finding]:
    name = BACKEND_NAMES.get(backend, backend)
    if "error" not in facts:
        devices = ", ".join(facts["devices"]) or "CPU"
        yield Finding("backend", OK, f"{name} on {devices}")
        return
    package = {"torch": "torch", "jax": "jax"}.get(backend, "tensorflow")
    if facts.get("killed"):
        advice = "the wheel may need instructions that this processor lacks: see `processor` above"
    elif backend not in BACKEND_NAMES:
        advice = "KERAS_BACKEND, or `backend` in Keras' keras.json, is tensorflow, jax or torch"
    elif _version(package) is None:
        advice = f"pip install {package}, or choose another backend with KERAS_BACKEND"
    else:
        advice = f"{REINSTALL} keras {package}, or set KERAS_BACKEND"
    yield Finding("backend", BROKEN, f"{name} does not work: {facts['error']}", advice)


def _gpu(facts: Facts, backend: str) -> Iterator[Finding]:
    seen = facts.get("devices", [])
    names = ", ".join(nvidia_gpu_names())
    hidden = gpus_are_hidden(backend)
    if seen:
        yield Finding("GPU", OK, names or ", ".join(seen))
    elif not has_nvidia_gpu():
        yield Finding("GPU", OK, "none: everything runs on the CPU")
    elif hidden is not None:
        yield Finding("GPU", OK, f"{names or 'NVIDIA'}, hidden by {hidden}")
    else:
        name = BACKEND_NAMES.get(backend, backend)
        told = f"{names or 'an NVIDIA GPU'}, which {name} does not see"
        yield Finding("GPU", WARNING, told, unseen_gpu_advice(backend))


def _onednn(facts: Facts) -> Iterator[Finding]:
    # Unknown where TensorFlow does not work.
    if facts.get("onednn") is False:
        told = "off, which makes TensorFlow slower on most processors"
        advice = "set TF_ENABLE_ONEDNN_OPTS=1, as the command keras-tdn does unless it is set"
        yield Finding("oneDNN", WARNING, told, advice)
    elif facts.get("onednn"):
        yield Finding("oneDNN", OK, "on")


def _tensorflow(facts: Facts | None) -> Iterator[Finding]:
    # Without facts, it is the backend.
    if facts is not None and "error" not in facts:
        yield Finding("data", OK, "TensorFlow reads data")
    elif facts is not None:
        told = "TensorFlow, which reads the data for every backend, does not work"
        yield Finding("data", BROKEN, f"{told}: {facts['error']}", f"{REINSTALL} tensorflow")


def _video(facts: Facts) -> Iterator[Finding]:
    wheel = f"{REINSTALL} --only-binary av av"
    if "error" in facts:
        yield Finding("video", BROKEN, f"videos cannot be read: {facts['error']}", wheel)
    if "codecs" in facts:
        there = [name for name, decodes in facts["codecs"].items() if decodes]
        missing = [name for name, decodes in facts["codecs"].items() if not decodes]
        libavcodec = facts["libraries"].get("libavcodec")
        told = f"PyAV {_version('av')}, libavcodec {libavcodec}: {' '.join(there)}"
        if missing:
            status = BROKEN if "h264" in missing else WARNING
            advice = f"take the wheel of PyAV, which has them: {wheel}"
            yield Finding("decoders", status, f"{told}; not {' '.join(missing)}", advice)
        else:
            yield Finding("decoders", OK, told)
    tfio = _version("tensorflow-io")
    yield Finding("decoder tfio", OK, tfio or "not installed (an alternative that nothing needs)")


def _folders(hub: Facts) -> Iterator[Finding]:
    cache = hub.get("cache") or os.environ.get("HF_HUB_CACHE")
    folders = {
        "current folder": (Path.cwd(), "change to a folder that may be written to"),
        "temporary files": (Path(tempfile.gettempdir()), "set TMPDIR to a folder with space"),
        "Keras' folder": (_keras_home(), "set KERAS_HOME to a folder that may be written to"),
        "Hub's cache": (
            Path(cache) if cache else Path.home() / ".cache" / "huggingface" / "hub",
            "set HF_HOME to a folder that may be written to",
        ),
    }
    for name, (folder, advice) in folders.items():
        existing = next(path for path in (folder, *folder.parents) if path.is_dir())
        free = shutil.disk_usage(existing).free
        # A bug report need not say where somebody works.
        shown = "" if name == "current folder" else f"{folder}: "
        told = f"{shown}{free / 1e9:.1f} GB free"
        needed = name == "temporary files"
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            told = f"{shown}cannot be written to ({error.strerror})"
            yield Finding(name, BROKEN if needed else WARNING, told, advice)
            continue
        if free < NO_SPACE and needed:
            yield Finding(name, BROKEN, told, advice)
        elif free < LITTLE_SPACE:
            yield Finding(name, WARNING, told, f"free some space, or {advice}")
        else:
            yield Finding(name, OK, told)


def _hub(facts: Facts) -> Iterator[Finding]:
    host = facts.get("host") or "the Hugging Face Hub"
    if facts.get("offline"):
        yield Finding("Hub", OK, "not asked, because HF_HUB_OFFLINE is set")
    elif "error" not in facts and facts["status"] < 500:
        yield Finding("Hub", OK, f"{host} answers")
    else:
        why = facts.get("error") or f"status {facts['status']}"
        advice = "weights that are not in the cache cannot be downloaded: set HTTPS_PROXY or "
        advice += "HF_ENDPOINT, or pass files to --weights; HF_HUB_OFFLINE=1 keeps to the cache"
        yield Finding("Hub", WARNING, f"{host} cannot be reached ({why})", advice)


def _settings() -> Iterator[Finding]:
    told = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    yield Finding("settings", OK, " ".join(told) or "none")


def _private(text: str) -> str:
    """One line with `~` for the home folder, and without the user's name, tokens and passwords."""
    with contextlib.suppress(RuntimeError):
        home = str(Path.home())
        if len(home) > 1:
            text = text.replace(home, "~")
    with contextlib.suppress(Exception):
        text = re.sub(rf"(?<![\w-]){re.escape(getpass.getuser())}(?![\w-])", "USER", text)
    text = re.sub(r"\bhf_\w{8,}", "TOKEN", text)
    text = re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)
    return " ".join(text.split())
