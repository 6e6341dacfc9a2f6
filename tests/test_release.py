"""What a release says of itself agrees: version, changelog, tag and address.

The release workflow runs this on a tag, without the package or anything else installed.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"""^__version__ = ["']([^"']+)["']$""", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def problems(version, changelog, urls, tag=None, repository=None):
    """What is wrong with a release, in words.

    Without a tag, nothing is released yet, and changes may still be under "Unreleased".
    """
    found = []
    # A final release: no development, alpha or candidate version is published.
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"the version is {version!r}, which is not like 1.2.3")
    _, *parts = SECTION.split(changelog)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    headings = [heading for heading in sections if heading != "Unreleased"]
    if not headings or headings[0].split()[0] != version:
        found.append(f"the changelog's newest section is {headings[:1]}, the version {version}")
    elif not sections[headings[0]].strip():
        found.append(f"the changelog says nothing of {version}")
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"the tag is {tag!r}, the version {version!r}")
        if sections.get("Unreleased", "").strip():
            found.append("the changelog has changes under 'Unreleased'")
        if urls.get("Source") != repository:
            found.append(f"project.urls says Source = {urls.get('Source')!r}, not {repository!r}")
    return found


def facts():
    version = VERSION.search((ROOT / "keras_tdn" / "version.py").read_text("utf-8")).group(1)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return version, (ROOT / "CHANGELOG.md").read_text("utf-8"), project["urls"]


def test_version_and_changelog_agree():
    assert problems(*facts()) == []


@pytest.mark.skipif(os.environ.get("GITHUB_REF_TYPE") != "tag", reason="on a tag alone")
def test_tag_and_address_agree_too():
    repository = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}".format_map(os.environ)
    assert problems(*facts(), os.environ["GITHUB_REF_NAME"], repository) == []


CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-12-01)\n\n- More.\n\n## 0.1.0\n\n- All.\n"
)
URLS = {"Source": "https://git.example/us/keras-tdn"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"version": "0.2.0.dev0"}, "not like 1.2.3"),
        ({"version": "0.1.0", "tag": "v0.1.0"}, "newest section"),
        ({"changelog": "# Changelog\n\n## Unreleased\n"}, "newest section is"),
        ({"changelog": "## 0.2.0\n\n## 0.1.0\n- All.\n"}, "says nothing of 0.2.0"),
        ({"tag": "0.2.0"}, "the tag is '0.2.0'"),
        ({"tag": "v0.3.0"}, "the tag is 'v0.3.0'"),
        ({"changelog": CHANGELOG.replace("ed\n", "ed\n- Half.\n", 1)}, "under 'Unreleased'"),
        ({"urls": {}}, "Source = None"),
        ({"repository": "https://git.example/them/keras-tdn"}, "not 'https://git.example/them"),
    ],
)
def test_what_does_not_agree_is_found(changes, told):
    given = {
        "version": "0.2.0",
        "changelog": CHANGELOG,
        "urls": URLS,
        "tag": "v0.2.0",
        "repository": URLS["Source"],
    }
    found = problems(**given | changes)
    if told is None:
        assert found == []
    else:
        assert any(told in problem for problem in found), found
