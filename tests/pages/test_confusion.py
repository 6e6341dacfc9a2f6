import numpy as np

from keras_tdn.pages.confusion import colors_of, heat_figure, heat_picture, heat_rows, row_shares


def test_colors_are_of_shares_of_the_row():
    expected = [(255, 255, 255), (201, 218, 240), (16, 44, 89)]
    # matplotlib has 256 steps.
    np.testing.assert_allclose(colors_of(np.array([0, 0.25, 1])), expected, atol=1)
    counts = np.array([[3, 1], [0, 0]])
    np.testing.assert_array_equal(row_shares(counts), [[0.75, 0.25], [0, 0]])
    (first, second), (third, last) = heat_rows(counts)
    assert (first.count, first.share, first.kind) == (3, 0.75, "diagonal dark")
    assert (second.color, second.kind) == ("#c8d9ef", "")
    assert (third.color, last.kind) == ("#ffffff", "diagonal ")


def test_many_classes_are_a_picture_of_whole_pixels():
    shown = heat_picture(np.eye(300, dtype=int), "x")
    assert (shown.width, shown.height, shown.is_sharp) == (600, 600, True)


def test_figure():
    figure = heat_figure(np.array([[3, 1], [0, 0]]), ["$a_1$", "跳跃\x00"], "is", "said")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["$a_1$", "跳跃\ufffd"]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("said", "is")
    (axes,) = heat_figure(np.eye(50, dtype=int), ["x"] * 50, "is", "said").axes
    assert not axes.texts
