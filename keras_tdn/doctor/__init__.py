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
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_tdn.doctor.probes import PROBES, Facts, run_probe
from keras_tdn.gpus import (
    BACKEND_NAMES,
    gpus_are_hidden,
    has_nvidia_gpu,
    nvidia_gpu_names,
    unseen_gpu_advice,
)
from keras_tdn.processes import cpu_info
from keras_tdn.version import installed_version
from keras_tdn.worker_pool import process_count

OK, WARNING, BROKEN = "ok", "warning", "broken"
DISTRIBUTION = "keras-tdn"
# What a backend needs to be reported beside what the package requires.
ALSO_REPORTED = ("jax", "jaxlib", "torch", "tensorflow-serving-api", "tensorflow-io")
LITTLE_SPACE, NO_SPACE = 5e9, 2e8
# What explains an odd answer; none of them holds a secret.
SETTINGS = (
    *("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "TF_ENABLE_ONEDNN_OPTS"),
    "HF_HUB_OFFLINE",
)
INSTRUCTION_SETS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
REINSTALL = "pip install --force-reinstall --no-cache-dir"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `BROKEN` if training and labelling cannot work like this."""

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
    # TensorFlow is looked at once.
    names = [name for name in PROBES if name != "tensorflow" or configured != "tensorflow"]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as threads:
        facts = dict(zip(names, threads.map(run_probe, names), strict=True))
    backend = facts["backend"].get("backend") or configured
    checks = {
        "system": _system(),
        "packages": _packages(),
        "backend": _backend(facts["backend"], backend),
        "GPU": _gpu(facts["backend"], backend),
        "oneDNN": _onednn(facts.get("tensorflow", facts["backend"])),
        "data": _tensorflow(facts.get("tensorflow")),
        "video": _video(facts["video"]),
        "folders": _folders(facts["hub"]),
        "Hub": _hub(facts["hub"]),
        "settings": _settings(),
    }
    findings = []
    for name, check in checks.items():
        try:
            findings += list(check)
        except Exception as error:
            told = f"could not be looked at ({type(error).__name__}: {error})"
            findings.append(Finding(name, WARNING, told))
    # A bug report must not contain what may be secret; advice is our own.
    return [dataclasses.replace(finding, found=_private(finding.found)) for finding in findings]


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
    broken = ", ".join(finding.name for finding in findings if finding.status == BROKEN)
    told = f"Broken: {broken}. Training and labelling need it."
    lines.append(told if broken else "Nothing is broken that training and labelling need.")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def as_json(findings: list[Finding]) -> str:
    """The same for a bug report."""
    listed = [dataclasses.asdict(finding) for finding in findings]
    report = {"healthy": is_healthy(findings), "findings": listed}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _system() -> Iterator[Finding]:
    python = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("Python", OK, python)
    # As Linux names them; nothing elsewhere.
    known = {*INSTRUCTION_SETS} & {*cpu_info("flags|Features").split()}
    cores = f"{process_count(None)} of {os.cpu_count()} cores"
    told = ", ".join(filter(None, [cores, " ".join(sorted(known))]))
    if known and platform.machine().lower() in ("x86_64", "amd64") and "avx" not in known:
        advice = "use another machine or another kind of virtual processor; without AVX, importing "
        advice += "TensorFlow ends with 'Illegal instruction'"
        told += ": no AVX, which TensorFlow's wheels need"
        yield Finding("processor", BROKEN, told, advice)
    else:
        yield Finding("processor", OK, told)


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    if (own := installed_version(DISTRIBUTION)) is None:
        told = f"{DISTRIBUTION} is not installed"
        yield Finding("packages", WARNING, told, f"pip install {DISTRIBUTION}")
        return
    versions, wrong = [f"{DISTRIBUTION} {own}"], []
    for requirement in map(Requirement, importlib.metadata.requires(DISTRIBUTION) or ()):
        # Those of extras have a marker that asks for the extra.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if (version := installed_version(requirement.name)) is None:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
        versions.append(f"{requirement.name} {version}")
    others = ((name, installed_version(name)) for name in ALSO_REPORTED)
    versions += [f"{name} {version}" for name, version in others if version]
    yield Finding("packages", OK, ", ".join(versions))
    if wrong:
        advice = f"pip install --upgrade {DISTRIBUTION}"
        yield Finding("requirements", BROKEN, ", ".join(wrong), advice)


def _configured_backend() -> str:
    """What Keras would run on, where it could not be asked."""
    if chosen := os.environ.get("KERAS_BACKEND"):
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
    if facts.get("killed"):
        advice = "the wheel may need instructions that this processor lacks: see `processor` above"
    elif backend not in BACKEND_NAMES:
        advice = "KERAS_BACKEND, or `backend` in Keras' keras.json, is tensorflow, jax or torch"
    elif installed_version(backend) is None:
        advice = f"pip install {backend}, or choose another backend with KERAS_BACKEND"
    else:
        advice = f"{REINSTALL} keras {backend}, or set KERAS_BACKEND"
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
        missing = [name for name in facts["codecs"] if name not in there]
        library = f"PyAV {installed_version('av')}, libavcodec {facts['libavcodec']}"
        told = f"{library}: {' '.join(there)}"
        told += f"; not {' '.join(missing)}" if missing else ""
        advice = f"take the wheel of PyAV, which has them: {wheel}" if missing else None
        status = BROKEN if "h264" in missing else WARNING if missing else OK
        yield Finding("decoders", status, told, advice)
    tfio = installed_version("tensorflow-io")
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
