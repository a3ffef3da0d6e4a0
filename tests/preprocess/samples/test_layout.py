"""What the axes of a tensor mean: where channels and time stand, and what is said of letters that cannot be meant."""

from __future__ import annotations

import pytest

from preprocess.base.errors import UsageError
from preprocess.samples.layout import Content, Layout, check_axes


@pytest.mark.parametrize(
    ("axes", "channels", "time"),
    [
        ("chw", 1, None),
        ("tchw", 2, 1),
        ("cthw", 1, 2),
        ("tmchw", 3, 1),
        ("ltcvhw", 3, 2),
        ("tvx", 3, 1),
        ("tvd", 3, 1),
        ("tvhw", 1, 1),
        ("f", 1, None),
    ],
)
def test_where_channels_and_time_stand(axes: str, channels: int, time: int | None) -> None:
    layout = Layout(axes, (2,) * len(axes), Content())
    assert (layout.channel_axis, layout.time_axis) == (channels, time)


@pytest.mark.parametrize(
    ("axes", "shape", "fault"),
    [
        ("cqw", (3, 8, 8), "axes is 'cqw': 'q' is no axis."),
        ("chw", (4, 3, 8, 8), "axes is 'chw': that is 3 for the 4 axes of shape [4, 3, 8, 8]."),
        ("", (7,), "axes is '': that is 0 for the 1 axes of shape [7]."),
        ("chh", (3, 8, 8), "axes is 'chh': a letter stands there twice."),
        ("cdw", (3, 2, 8), "axes is 'cdw': c and d are two words for the channels; only one of them can be there."),
    ],
)
def test_axes_that_cannot_be_meant(axes: str, shape: tuple[int, ...], fault: str) -> None:
    with pytest.raises(UsageError) as error:
        check_axes(axes, shape, "my.yaml: mine")
    assert str(error.value).startswith(f"my.yaml: mine: {fault} Expected a letter for each axis of the shape: l magn")


def test_what_a_message_says_does_not_count_in_a_key() -> None:
    first, second = (Layout("f", (3,), Content(unknown=text)).as_json() for text in ("nobody says", "it is not said"))
    assert first == second != Layout("f", (3,), Content()).as_json()
