"""Frames: what is said is what is heard, and nothing that outsiders send does harm."""

from typing import Any, Final, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.errors import LinkFault
from outrider.domain.identity import Identity
from outrider.protocol.codec import FROM_AGENT, FROM_CENTER, Codec
from outrider.protocol.messages import (
    MAX_FRAME,
    Execute,
    FromAgent,
    FromCenter,
    Heartbeat,
    HeartbeatSeen,
    Readings,
)
from outrider.protocol.version import VersionRange

texts: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
moments: Final = st.floats(allow_nan=False)
small: Final = st.integers(0, 2**31 - 1)
json_values: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | moments | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)

# Hypothesis makes each message from its own annotations; these kinds need a hand.
st.register_type_strategy(
    Identity,
    st.builds(
        Identity,
        agent_id=texts,
        device_id=texts,
        incarnation=texts,
        generation=small,
        start=texts,
        earlier_starts=st.lists(texts, max_size=32).map(tuple),
        boot=texts,
        machine=texts,
    ),
)


def _message(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: _value(field.type) for field in msgspec.structs.fields(kind)})


def _value(annotation: Any) -> st.SearchStrategy[Any]:
    """Make values of a field's type, within the bounds its description states."""
    known: dict[Any, st.SearchStrategy[Any]] = {
        int: small,
        float: moments,
        str: texts,
        bool: st.booleans(),
        bytes: st.binary(max_size=200),
        dict[str, Any]: st.dictionaries(texts, json_values, max_size=3),
        dict[str, str]: st.dictionaries(texts, texts, max_size=3),
        msgspec.Raw: json_values.map(msgspec.msgpack.encode).map(msgspec.Raw),
        CommandState: st.sampled_from(CommandState),
        Approval: st.sampled_from(Approval),
        VersionRange: st.builds(VersionRange, small, small),
    }
    if annotation in known:
        return known[annotation]
    bare = msgspec.inspect.type_info(annotation)
    if isinstance(bare, msgspec.inspect.Metadata):
        bare = bare.type
    made: st.SearchStrategy[Any]
    match bare:
        case msgspec.inspect.IntType(ge=low, le=high):
            made = st.integers(low or 0, min(high or 2**31 - 1, 128))
        case msgspec.inspect.LiteralType(values=values):
            made = st.sampled_from(values)
        case msgspec.inspect.StructType(cls=cls):
            made = st.from_type(Identity) if cls is Identity else _message(cls)
        case msgspec.inspect.VarTupleType(item_type=item):
            made = st.lists(_item(item), max_size=4).map(tuple)
        case msgspec.inspect.UnionType():
            inner = [each for each in get_args(annotation) if each is not type(None)]
            made = st.none() | st.one_of([_value(each) for each in inner])
        case _:
            made = _item(bare)
    return made


def _item(bare: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match bare:
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case msgspec.inspect.StrType():
            return texts
        case msgspec.inspect.BytesType():
            return st.binary(max_size=200)
        case msgspec.inspect.IntType():
            return small
        case msgspec.inspect.StructType(cls=cls):
            return _message(cls)
        case _:
            message = f"no strategy for {bare}"
            raise TypeError(message)


def _messages(union: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of([_message(kind) for kind in get_args(union)]), max_size=4)


@settings(deadline=None)
@given(_messages(FromAgent))
def test_what_an_agent_says_is_what_the_center_hears(messages: list[FromAgent]) -> None:
    """Every kind of message, alone and together, survives the way."""
    assert FROM_AGENT.decode(FROM_AGENT.encode(messages)) == messages


@settings(deadline=None)
@given(_messages(FromCenter))
def test_what_the_center_says_is_what_an_agent_hears(messages: list[FromCenter]) -> None:
    """Likewise in the other direction."""
    assert FROM_CENTER.decode(FROM_CENTER.encode(messages)) == messages


@pytest.mark.parametrize("codec", [FROM_AGENT, FROM_CENTER])
@given(frame=st.binary(max_size=500))
def test_any_bytes_are_messages_or_a_fault(codec: Codec[Any], frame: bytes) -> None:
    """Nothing but LinkFault ever comes of foreign bytes."""
    try:
        codec.decode(frame)
    except LinkFault as fault:
        assert fault.detail  # noqa: PT017 - any outcome but another exception is right


@given(st.data())
def test_a_damaged_frame_is_messages_or_a_fault(data: st.DataObject) -> None:
    """Bytes that are changed, cut off or added to a real frame."""
    frame = bytearray(FROM_AGENT.encode([Heartbeat(number=5, time=1.5, readings=Readings(cpu_percent=1.0))]))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)))):
        frame[place] = byte
    cut = data.draw(st.integers(0, len(frame)))
    try:
        FROM_AGENT.decode(bytes(frame[:cut]) + data.draw(st.binary(max_size=10)))
    except LinkFault as fault:
        assert fault.detail  # noqa: PT017 - likewise


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91" * 100_000,
        b"\x81\xa1t" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xa1\xff",
        b"",
    ],
)
def test_bombs_are_faults(frame: bytes) -> None:
    """Deep nesting, lengths that lie, text that is none."""
    with pytest.raises(LinkFault):
        FROM_AGENT.decode(frame)


def test_a_frame_has_a_bound() -> None:
    """A frame longer than MAX_FRAME is not even looked at."""
    with pytest.raises(LinkFault) as fault:
        FROM_AGENT.decode(bytes(MAX_FRAME + 1))
    assert fault.value.fields == {"limit": MAX_FRAME}


def test_unknown_optional_messages_are_ignored_and_others_refused() -> None:
    """A newer peer may add what may be ignored; what must be understood breaks the link."""
    beat = {"t": "beat", "number": 1, "time": 2.0}
    optional = {"t": "mood", "optional": True, "how": "fine"}
    encode = msgspec.msgpack.encode
    assert FROM_AGENT.decode(encode([optional, beat, optional])) == [Heartbeat(number=1, time=2.0)]
    assert FROM_AGENT.decode(encode([optional])) == []
    for unknown in ({"t": "mood"}, {"t": "mood", "optional": False}, {"optional": False}, {}):
        with pytest.raises(LinkFault):
            FROM_AGENT.decode(encode([beat, unknown]))


def test_a_known_message_that_does_not_fit_is_refused_even_when_optional() -> None:
    """`optional` excuses what is new, not what is wrong."""
    with pytest.raises(LinkFault):
        FROM_AGENT.decode(msgspec.msgpack.encode([{"t": "beat", "optional": True, "number": "x"}]))


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may say more of what is known."""
    frame = msgspec.msgpack.encode([{"t": "seen", "number": 1, "time": 2.0, "mood": {"a": [1]}}])
    assert FROM_CENTER.decode(frame) == [HeartbeatSeen(number=1, time=2.0)]


def test_the_directions_are_apart() -> None:
    """What the center says is no message of an agent's."""
    with pytest.raises(LinkFault):
        FROM_AGENT.decode(FROM_CENTER.encode([Execute(orders=())]))


def test_defaults_cost_nothing_on_the_wire() -> None:
    """A bare heartbeat is a few bytes, and what is left out reads as its default."""
    assert len(FROM_AGENT.encode([Heartbeat(number=1, time=1.0)])) < 40
