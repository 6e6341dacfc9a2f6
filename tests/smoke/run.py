"""Installs the package where nothing is, for several interpreters and releases, and tries it.

    python tests/smoke/run.py                               # every interpreter that is found
    python tests/smoke/run.py 3.12 3.13:newest 3.11:lowest --jobs 2

A case is a version of Python and which releases of the dependencies: the `newest`, those to come
(`prerelease`), or the `lowest` that pyproject.toml admits. Each gets an empty environment with the
package's wheel, in which the short demo runs to its end, a video is labelled by the command and by
every backend that is installed, and the tests of reading videos pass. At the end, the labels and
scores that the cases give to real videos are compared, where there are some (tests/real_videos.py
says which).

It needs uv, and nothing else that Python does not have. PyTorch is left out unless the environment
brings it (`--with torch`): for Linux its wheel on PyPI is gigabytes.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKS = Path(__file__).with_name("checks.py")
VERSIONS = ("3.11", "3.12", "3.13")
RELEASES = ("newest", "lowest", "prerelease")
TESTS = (
    *(f"tests/data/test_{name}.py" for name in ("decoding", "decoding_indexed", "opening")),
    "tests/files/test_locks.py",
)
TOLERANCE = 1e-4
LINES_OF_A_FAILURE = 40


@dataclasses.dataclass(frozen=True)
class Case:
    """An interpreter and the releases that are installed.

    Args:
        version: Of Python, such as `"3.12"`.
        releases: One of `RELEASES`.
    """

    version: str
    releases: str

    @classmethod
    def parse(cls, text: str) -> Case:
        """Reads `3.12` or `3.12:lowest`."""
        version, _, releases = text.partition(":")
        if (releases or "newest") not in RELEASES:
            raise argparse.ArgumentTypeError(f"{text!r} is not like 3.12:newest or 3.12:lowest")
        return cls(version, releases or "newest")

    def __str__(self) -> str:
        return f"{self.version}:{self.releases}"


class FailedError(Exception):
    """A step of a case failed; the text says what and why."""


def find_python(version: str) -> str | None:
    """An interpreter of that version: this one, one on the path, or one of pyenv."""
    name = "python.exe" if os.name == "nt" else "bin/python"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates: Iterator[str | None] = iter(
        (
            sys.executable,
            shutil.which(f"python{version}"),
            *map(str, sorted(pyenv.glob(f"{version}.*/{name}"), reverse=True)),
            shutil.which("python"),
        )
    )
    code = "import sys; print(sys._base_executable, '%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        answer = subprocess.run(
            [candidate, "-c", code], capture_output=True, text=True, check=False
        ).stdout.strip()
        if answer.endswith(f" {version}"):
            return answer.removesuffix(f" {version}")
    return None


class Smoke:
    """What all cases share.

    Args:
        folder: Where the environments go.
        extras: Requirements to install beside the newest releases.
        threads: Threads that each process may compute with.
    """

    def __init__(self, folder: Path, extras: list[str], threads: int) -> None:
        self._folder = folder
        self._extras = extras
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"},
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": "",
        }
        # Beside this interpreter, where pip puts it.
        here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        uv = shutil.which("uv", path=here)
        if uv is None:
            raise SystemExit("This needs uv: python -m pip install uv")
        self._uv = uv
        self._run([uv, "build", "--quiet", "--wheel", "--out-dir", folder / "wheel", ROOT], None)
        (self._wheel,) = (folder / "wheel").glob("*.whl")

    def try_case(self, case: Case) -> dict:
        """Runs every step; gives the seconds, the versions, and the labels and scores."""
        name = str(case).replace(":", "-")
        folder, log = self._folder / name, self._folder / f"{name}.log"
        seconds = {}
        python = find_python(case.version)
        if python is None:
            raise FailedError(f"There is no Python {case.version} here.")
        inside = folder / ("Scripts" if os.name == "nt" else "bin")
        command, interpreter = str(inside / "keras-tdn"), str(inside / "python")
        demo, result = folder / "demo", folder / "result.json"
        uv = [self._uv, "--quiet"]
        # Named beside the wheel: `lowest-direct` is said of what is named, and of two packages that
        # cannot both be the newest, uv takes the first that is named.
        wanted: list[str | Path] = ["-r", ROOT / "pyproject.toml"]
        if case.releases == "lowest":
            wanted += ["--resolution", "lowest-direct"]
        else:
            wanted += self._extras
        if case.releases == "prerelease":
            wanted += ["--prerelease", "allow"]
        install = [*uv, "pip", "install", "--python", interpreter]
        steps: dict[str, list[list]] = {
            "installation": [
                [*uv, "venv", "--python", python, folder],
                [*install, self._wheel, *wanted],
                [*install, "pytest>=8.3", "hypothesis>=6.100"],
                [*uv, "pip", "check", "--python", interpreter],
            ],
            "demo": [[command, "demo", "--short", "--output", demo]],
            "predict": [[command, "predict", demo / "fresh.mp4", "--weights", "motion"]],
            "videos and backends": [[interpreter, "-P", CHECKS, demo / "fresh.mp4", result]],
            # -P: what is tested is what was installed, not the folder that the tests are in.
            "tests": [[interpreter, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]],
        }
        for name, commands in steps.items():
            started = time.monotonic()
            for each in commands:
                self._run(each, log, case=str(case))
            seconds[name] = round(time.monotonic() - started)
            print(f"{case}: {name}: {seconds[name]} s", flush=True)
        shutil.rmtree(demo)
        return {"seconds": seconds, **json.loads(result.read_text("utf-8"))}

    def _run(self, command: list, log: Path | None, case: str = "the wheel") -> None:
        result = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"$ {command}\n{result.stdout}\n")
        if result.returncode:
            end = "\n".join(result.stdout.splitlines()[-LINES_OF_A_FAILURE:])
            words = " ".join(str(word) for word in command)
            raise FailedError(f"{case}: exit status {result.returncode} of {words}\n{end}")


def compare(results: dict[Case, dict]) -> list[str]:
    """What differs from the first case, in words; prints how much at most."""
    (first, expected), *others = results.items()
    problems = []
    for case, result in others:
        largest = 0.0
        for video, answers in expected["answers"].items():
            theirs = result["answers"].get(video)
            if "error" in answers or theirs is None or "error" in theirs:
                if answers != theirs:
                    problems.append(f"{case}: {video}: {theirs}, and with {first}: {answers}")
                continue
            off = max(abs(a - b) for a, b in zip(answers["scores"], theirs["scores"], strict=True))
            largest = max(largest, off)
            if off > TOLERANCE or answers["label"] != theirs["label"]:
                problems.append(
                    f"{case}: {video}: {theirs['label']}, a score off by {off:.1e}; "
                    f"with {first}: {answers['label']}"
                )
        print(
            f"{case} against {first}: {len(expected['answers'])} videos, scores differ by "
            f"{largest:.1e} at most"
        )
    return problems


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def main() -> int:
    """Tries the cases and says what came of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", type=Case.parse, metavar="VERSION[:RELEASES]")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time (default: 1)")
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="is installed beside the newest releases, for example jax",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep environments and logs here")
    args = parser.parse_args()
    cases = args.cases
    if not cases:
        found = [version for version in VERSIONS if find_python(version)]
        if not found:
            raise SystemExit(f"None of Python {', '.join(VERSIONS)} is here.")
        cases = [Case(found[0], "lowest"), *(Case(version, "newest") for version in found)]
    with _folder(args.keep) as folder:
        smoke = Smoke(folder, args.extras, max(1, (os.cpu_count() or 1) // args.jobs))
        problems, results = [], {}
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            tried = {case: pool.submit(smoke.try_case, case) for case in cases}
            for case, future in tried.items():
                try:
                    results[case] = future.result()
                except FailedError as error:
                    problems.append(str(error))
        for case, result in results.items():
            total = sum(result["seconds"].values())
            print(f"{case}: {total} s: {result['versions']}; {result['backends']}")
        if len(results) > 1:
            problems += compare(results)
    print(f"{len(cases)} cases tried: {', '.join(map(str, cases))}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
