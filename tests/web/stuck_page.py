"""A page whose model never ends: run with the path of a pipe that nobody writes to."""

import sys
from types import SimpleNamespace

from keras_tdn.ending import run_until_told
from keras_tdn.web import serving
from keras_tdn.web.showing import Shown


def show_video(model, path, **options):
    yield Shown("stuck", "", "", "")
    with open(sys.argv[1]):
        yield Shown("never")


if __name__ == "__main__":
    serving.show_video = show_video
    serving.make_layout = lambda *arguments, **options: None
    serving.class_names = serving.about_text = lambda *arguments: ""
    serving._warm_up = lambda *arguments: None
    model = SimpleNamespace(name="stuck", labels=None)

    def tell(line):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def run():
        serving.serve(model, port=0, tell=tell)
        return 0

    # As the command does.
    sys.exit(run_until_told(run))
