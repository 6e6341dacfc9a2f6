"""Letters on pictures, five pixels wide and seven high, with no font file to be found."""

from __future__ import annotations

import numpy as np

GLYPH_WIDTH, GLYPH_HEIGHT = 5, 8
ADVANCE = GLYPH_WIDTH + 1
UNKNOWN = "?"

# Columns from left to right, two hexadecimal digits each, the top pixel in the lowest bit. The
# eighth row is that of descenders.
_COLUMNS = {
    " ": "0000000000", "!": "00005f0000", '"': "0007000700", "#": "147f147f14",
    "$": "242a7f2a12", "%": "2313086462", "&": "3649552250", "'": "0000070000",
    "(": "001c224100", ")": "0041221c00", "*": "14083e0814", "+": "08083e0808",
    ",": "0080600000", "-": "0808080808", ".": "0060600000", "/": "2010080402",
    "0": "3e4141413e", "1": "00427f4000", "2": "4261514946", "3": "2241494936",
    "4": "1814127f10", "5": "2745454539", "6": "3e49494932", "7": "0171090503",
    "8": "3649494936", "9": "264949493e", ":": "0036360000", ";": "0080760000",
    "<": "0814224100", "=": "1414141414", ">": "0041221408", "?": "0201510906",
    "@": "3e415d551e", "A": "7e1111117e", "B": "7f49494936", "C": "3e41414122",
    "D": "7f4141413e", "E": "7f49494941", "F": "7f09090901", "G": "3e4149497a",
    "H": "7f0808087f", "I": "00417f4100", "J": "2040413f01", "K": "7f08142241",
    "L": "7f40404040", "M": "7f020c027f", "N": "7f0408107f", "O": "3e4141413e",
    "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946", "S": "2649494932",
    "T": "01017f0101", "U": "3f4040403f", "V": "1f2040201f", "W": "3f4038403f",
    "X": "6314081463", "Y": "0708700807", "Z": "6151494543", "[": "007f414100",
    "\\": "0204081020", "]": "0041417f00", "^": "0402010204", "_": "4040404040",
    "`": "0001020000", "a": "2054545478", "b": "7f48444438", "c": "3844444428",
    "d": "384444487f", "e": "3854545418", "f": "00087e0902", "g": "18a4a4a47c",
    "h": "7f08040478", "i": "00447d4000", "j": "0080847d00", "k": "7f10284400",
    "l": "00417f4000", "m": "7c04780478", "n": "7c08040478", "o": "3844444438",
    "p": "fc24242418", "q": "18242424fc", "r": "7c08040408", "s": "4854545424",
    "t": "043f444020", "u": "3c40407c40", "v": "1c2040201c", "w": "3c4030403c",
    "x": "4428102844", "y": "1ca0a0a07c", "z": "4464544c44", "{": "0008364100",
    "|": "00007f0000", "}": "0041360800", "~": "0804080804",
}  # fmt: skip


def text_mask(text: str, scale: int = 2) -> np.ndarray:
    """Where the ink of a line of text is.

    Args:
        text: The text; characters other than those of ASCII are drawn as question marks.
        scale: Pixels for each pixel of a glyph.

    Returns:
        bool of shape `(8 * scale, text_width(text, scale))`.
    """
    mask = np.zeros((GLYPH_HEIGHT, max(ADVANCE * len(text) - 1, 0)), bool)
    for place, character in enumerate(text):
        columns = bytes.fromhex(_COLUMNS.get(character, _COLUMNS[UNKNOWN]))
        bits = np.unpackbits(
            np.frombuffer(columns, np.uint8)[np.newaxis], axis=0, bitorder="little"
        )
        mask[:, place * ADVANCE : place * ADVANCE + GLYPH_WIDTH] = bits
    return mask.repeat(scale, axis=0).repeat(scale, axis=1)


def text_width(text: str, scale: int = 2) -> int:
    """Pixels that a line of text takes."""
    return max(ADVANCE * len(text) - 1, 0) * scale


def fitted(text: str, width: int, scale: int = 2) -> str:
    """As much of the text as fits into so many pixels, with dots for what does not."""
    count = (width // scale + 1) // ADVANCE
    return text if len(text) <= count else text[: max(count - 2, 0)] + ".."


def wrapped(text: str, width: int, scale: int = 2) -> list[str]:
    """The text in lines of so many pixels, broken between words where that is possible."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, scale) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitted(line, width, scale) for line in lines]
