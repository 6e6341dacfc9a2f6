import shutil
import subprocess

import pytest

from keras_tdn import cli
from keras_tdn.cli import parser as parsing


def script(capsys, shell):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--print-completion", shell])
    assert stopped.value.code == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


# What a terminal's shell does when the tab key is pressed behind these words.
COMPLETE = """
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p keras-tdn | grep -o -- '-F [^ ]*' | cut -d' ' -f2)
"$function"; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_choices_and_files(capsys, tmp_path):
    (tmp_path / "video.mp4").touch()
    (tmp_path / "videos").mkdir()
    program = script(capsys, "bash") + COMPLETE

    def complete(*words):
        command = ["bash", "--norc", "-c", program, "bash", "keras-tdn", *words]
        result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert result.stderr == ""
        return sorted(result.stdout.split())

    assert complete("tr") == ["train"]
    assert complete("presets", "s") == ["show"]
    assert complete("train", "--rec") == ["--recipe"]
    assert complete("train", "--recipe", "fin") == ["finetune_small"]
    assert complete("predict", "vi") == ["video.mp4", "videos"]
    assert complete("explain", "video.mp4", "--output", "vi") == ["videos"]


@pytest.mark.parametrize(
    ("shell", "start"),
    [("zsh", "#compdef keras-tdn"), ("fish", "# AUTO"), ("tcsh", "# AUTO")],
)
def test_other_shells(capsys, shell, start):
    text = script(capsys, shell)
    assert text.startswith(start)
    assert "train a model on your own videos" in text or shell == "tcsh"
    if shell != "tcsh" and shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--print-completion", "ksh"])
    assert "'bash', 'zsh', 'fish', 'tcsh'" in capsys.readouterr().err


def test_arguments_that_are_files_are_known():
    """A new name for one in a help text is to be entered."""
    paths = (*parsing.FILES, *parsing.FOLDERS)
    for action in parsing._actions(cli._parser()):
        if action.dest in ("list", "video", "output", "weights", "labels", "report", "root"):
            assert action.metavar in paths, action
