"""Real videos for the tests that want some. They are no part of the repository.

`KERAS_TDN_VIDEOS` names their folder; without it, a folder `shared/videos` beside the repository is
used if there is one.
"""

import os
from pathlib import Path

VIDEOS = Path(os.environ.get("KERAS_TDN_VIDEOS") or Path(__file__).parents[2] / "shared" / "videos")
# One of each kind of file.
FIXTURES = sorted(path for path in (VIDEOS / "fixtures").glob("*") if path.is_file())
# Data sets with lists.
ARID6, BEDFALL = VIDEOS / "arid6", VIDEOS / "bedfall"
NO_VIDEOS = "needs real videos: set KERAS_TDN_VIDEOS to a folder that has them"
