"""Events and summaries: what event files hold."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _leaves, _native
from ._dtypes import numpy_dtype
from ._leaves import refuse
from .graph import reference_to

__all__ = [
    "Audio",
    "Event",
    "Histogram",
    "Image",
    "SessionLog",
    "Summary",
    "SummaryMetadata",
    "SummaryValue",
    "events_of",
]


@dataclass(frozen=True)
class SummaryMetadata:
    """Which of TensorBoard's plugins draws the values of a tag, and how.

    Attributes:
        plugin_name: "scalars", "images", "text", ...
        plugin_content: what the plugin wants to be told, in a form of its own.
        display_name, summary_description: texts that it shows.
        data_class: 1 scalar, 2 tensor, 3 blob sequence; 0 is not said.
    """

    plugin_name: str = ""
    plugin_content: bytes = b""
    display_name: str = ""
    summary_description: str = ""
    data_class: int = 0


@dataclass(frozen=True)
class Histogram:
    """TensorFlow's HistogramProto: bucket i counts values from ``bucket_limit[i - 1]`` up to below
    ``bucket_limit[i]``.
    """

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    bucket_limit: list[float]
    bucket: list[float]


@dataclass(frozen=True)
class Image:
    """A picture.

    Attributes:
        height, width: pixels.
        colorspace: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
        encoded_image_string: a file of its own, PNG.
    """

    height: int
    width: int
    colorspace: int
    encoded_image_string: bytes


@dataclass(frozen=True)
class Audio:
    """A sound.

    Attributes:
        sample_rate: Hz.
        num_channels, length_frames: of it.
        encoded_audio_string: a file of its own.
        content_type: "audio/wav".
    """

    sample_rate: float
    num_channels: int
    length_frames: int
    encoded_audio_string: bytes
    content_type: str


@dataclass(frozen=True)
class SummaryValue:
    """One value of a summary.

    Attributes:
        tag: its name.
        kind: TensorFlow's name of the field: "simple_value", "histo", "image", "audio", "tensor"; "none".
        simple_value: of a scalar.
        histo, image, audio: of such, else None.
        tensor: of a tensor, else None; strings as an array of ``bytes`` objects.
        metadata: None where there is none.
    """

    tag: str
    kind: str = "simple_value"
    simple_value: float = 0.0
    histo: Histogram | None = None
    image: Image | None = None
    audio: Audio | None = None
    tensor: np.ndarray[Any, Any] | None = None
    metadata: SummaryMetadata | None = None


class Summary:
    """A Summary message; its methods add values of the host, under tags as they are.

    Args:
        value: scalars, as ``Summary(value=[Summary.Value(tag="loss", simple_value=0.5)])``.

    They raise InvalidArgumentError for what TensorFlow's operations refuse.
    """

    @staticmethod
    def Value(tag: str, simple_value: float) -> SummaryValue:
        """A scalar for the constructor."""
        return SummaryValue(tag, simple_value=float(simple_value))

    def __init__(self, value: Iterable[SummaryValue] = ()) -> None:
        self._native = _native.Summary()
        for item in value:
            if item.kind != "simple_value":
                raise refuse(f"Summary: {item.tag}", f"a value of kind {item.kind} is added by a method")
            self.add_scalar(item.tag, item.simple_value)

    @classmethod
    def FromString(cls, content: bytes) -> Summary:
        """Raises DataLossError for bytes that are no such message."""
        summary = cls()
        summary._native = _native.Summary.parse(content)
        return summary

    def SerializeToString(self) -> bytes:
        """What ``FileWriter.add_summary`` takes."""
        return self._native.serialize()

    @property
    def value(self) -> list[SummaryValue]:
        """The values."""
        return values_of(self.SerializeToString())

    def add_scalar(self, tag: str, value: float) -> None:
        """A number."""
        self._native.add_scalar(tag, float(value))

    def add_histogram(self, tag: str, values: Any) -> None:
        """An array of any shape of real numbers, neither NaN nor infinite."""
        _add(self._native.add_histogram, tag, values)

    def add_image(self, tag: str, pixels: Any) -> None:
        """[height, width, channels] with 1, 3 or 4 channels: uint8 as it is, floats scaled."""
        _add(self._native.add_image, tag, pixels)

    def add_audio(self, tag: str, samples: Any, sample_rate: float) -> None:
        """float32 [frames, channels] between -1 and 1; ``sample_rate`` in Hz."""
        _add(self._native.add_audio, tag, samples, sample_rate)

    def add_text(self, tag: str, text: str) -> None:
        """Markdown, for TensorBoard's plugin "text"."""
        self._native.add_text(tag, text)

    def add_tensor(self, tag: str, tensor: Any, plugin_name: str = "", plugin_content: bytes = b"") -> None:
        """Any tensor, for the plugin named."""
        _add(self._native.add_tensor, tag, tensor, plugin_name, plugin_content)


def _add(add: Callable[..., None], tag: str, value: Any, *rest: Any) -> None:
    """Calls `add` with a value in the host's memory as the engine takes it."""
    if _leaves.kind_of(value) == "torch":
        value = value.detach().cpu()
    elif not _leaves.kind_of(value):
        value = np.asarray(value)
    # The reference is an address only: what may be a copy is kept until the call has returned.
    (memory,) = _leaves.to_save(tag, value)
    add(tag, reference_to(memory, b""), *rest)


def values_of(summary: bytes) -> list[SummaryValue]:
    """The values of a serialized Summary."""
    return [_value(*described) for described in _native.summary_values(summary)]


def _value(tag: str, kind: str, content: Any, metadata: tuple[str, bytes, str, str, int] | None) -> SummaryValue:
    fields: dict[str, Any] = {"metadata": None if metadata is None else SummaryMetadata(*metadata)}
    if kind == "simple_value":
        fields["simple_value"] = content
    elif kind in ("histo", "image", "audio"):
        fields[kind] = {"histo": Histogram, "image": Image, "audio": Audio}[kind](*content)
    elif kind == "tensor":
        fields["tensor"] = _array(*content)
    return SummaryValue(tag, kind, **fields)


def _array(dtype: str, shape: list[int], content: bytes, strings: list[bytes]) -> np.ndarray[Any, Any]:
    if dtype != "string":
        return np.frombuffer(content, numpy_dtype(dtype)).reshape(shape)
    array = np.empty(len(strings), object)
    array[:] = strings
    return array.reshape(shape)


@dataclass(frozen=True)
class SessionLog:
    """What an event says of the run itself.

    Attributes:
        status: START: what the run's files said of this step and later ones does not hold any more; STOP;
            CHECKPOINT.
        checkpoint_path: of CHECKPOINT.
        msg: any text.
    """

    STATUS_UNSPECIFIED = 0
    START = 1
    STOP = 2
    CHECKPOINT = 3

    status: int = 0
    checkpoint_path: str = ""
    msg: str = ""


@dataclass(frozen=True)
class Event:
    """One event of an event file.

    Attributes:
        wall_time: seconds since 1970.
        step: of the training.
        kind: TensorFlow's name of the field: "summary", "graph_def", "meta_graph_def", "session_log",
            "file_version", ...
        payload: the serialized message; of "file_version" the text.
    """

    wall_time: float
    step: int
    kind: str
    payload: bytes

    @property
    def summary(self) -> Summary:
        """Its summary; an empty one where it has none."""
        return Summary.FromString(self.payload if self.kind == "summary" else b"")

    @property
    def file_version(self) -> str:
        """ "brain.Event:2"; "" where it is no such event."""
        return self.payload.decode() if self.kind == "file_version" else ""


def events_of(path: str) -> Iterator[Event]:
    """See :func:`waypost.train.summary_iterator`."""
    reader = _native.EventReader(path)
    while (found := reader.next()) is not None:
        yield Event(*found)


def graph_event(wall_time: float, step: int, graph_def: bytes) -> bytes:
    """A serialized Event with a GraphDef: fields 1, 2 and 4 of TensorFlow's message."""
    return (
        b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + b"\x22" + _varint(len(graph_def)) + graph_def
    )


def _varint(number: int) -> bytes:
    number &= 2**64 - 1  # as protobuf writes negative ones
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*digits, number))
