"""Streams: the sender never has more on its way than was granted, and the receiver notices one that has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outrider.domain.errors import LinkFault
from outrider.protocol.messages import MAX_CHUNK
from outrider.protocol.streams import (
    MAX_STREAM_FRAME,
    WINDOW,
    Data,
    End,
    Fail,
    Grant,
    Open,
    StreamFrame,
    StreamReceiver,
    StreamSender,
    decode,
    encode,
)
from outrider.protocol.version import SPOKEN

frames = st.one_of(
    st.builds(Open, versions=st.just(SPOKEN), kind=st.text("abc"), ref=st.text("abc"), token=st.text("abc")),
    st.builds(
        Grant,
        window=st.integers(0, WINDOW),
        taken=st.dictionaries(st.sampled_from([1, 2]), st.integers(0, 2**53)),
    ),
    st.builds(
        Data,
        channel=st.sampled_from([1, 2]),
        offset=st.integers(0, 2**53),
        data=st.binary(max_size=100),
        kept=st.booleans(),
    ),
    st.just(End()),
    st.builds(Fail, code=st.text("abc"), detail=st.text("abc")),
)


@given(frames)
def test_frames_survive_the_way(frame: StreamFrame) -> None:
    """What is said is what is heard."""
    assert decode(encode(frame)) == frame


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_fault(data: bytes) -> None:
    """Nothing but LinkFault ever comes of foreign bytes."""
    try:
        decode(data)
    except LinkFault as fault:
        assert fault.detail  # noqa: PT017 - any outcome but another exception is right


def test_a_frame_has_a_bound_that_a_whole_chunk_fits() -> None:
    """The largest piece is taken; one that is longer than a frame may be is not looked at."""
    whole = Data(channel=2, offset=2**53, data=b"x" * MAX_CHUNK)
    assert decode(encode(whole)) == whole
    with pytest.raises(LinkFault):
        decode(bytes(MAX_STREAM_FRAME + 1))


class CreditMachine(RuleBasedStateMachine):
    """A sender and a receiver with a wire between them on which frames may wait."""

    def __init__(self) -> None:
        super().__init__()
        self.sender = StreamSender()
        self.receiver = StreamReceiver()
        self.on_wire: list[Data] = []
        self.grants = [self.receiver.open()]
        self.offset = 0
        self.arrived = 0

    @rule(wanted=st.integers(0, 2 * WINDOW))
    def send(self, wanted: int) -> None:
        """The sender sends as much as it may."""
        size = self.sender.may_send(wanted)
        assert 0 <= size <= min(wanted, MAX_CHUNK)
        self.sender.sent(size)
        self.on_wire.append(Data(channel=1, offset=self.offset, data=bytes(size)))
        self.offset += size

    @rule()
    def receive(self) -> None:
        """A frame arrives; it is never more than was granted."""
        if self.on_wire:
            piece = self.on_wire.pop(0)
            self.receiver.received(piece)
            self.arrived += len(piece.data)

    @rule()
    def grant(self) -> None:
        """The receiver has stored all that came, and grants it again."""
        self.grants.append(self.receiver.taken({1: self.arrived}))

    @rule()
    def hear_grant(self) -> None:
        """A grant arrives."""
        if self.grants:
            self.sender.granted(self.grants.pop(0))

    @invariant()
    def the_window_is_never_exceeded(self) -> None:
        """What is on its way, may still be sent, or is granted and not heard yet: one window together."""
        on_wire = sum(len(piece.data) for piece in self.on_wire)
        granted = sum(grant.window for grant in self.grants)
        assert self.sender.credit + on_wire + granted <= WINDOW
        assert self.sender.taken.get(1, 0) <= self.arrived


TestCredit = CreditMachine.TestCase


def test_a_sender_that_overruns_is_found() -> None:
    """More than was granted breaks the stream."""
    receiver = StreamReceiver()
    with pytest.raises(LinkFault):
        receiver.received(Data(channel=1, offset=0, data=b"x"))
    receiver.open()
    for _ in range(WINDOW // MAX_CHUNK):
        receiver.received(Data(channel=1, offset=0, data=bytes(MAX_CHUNK)))
    with pytest.raises(LinkFault):
        receiver.received(Data(channel=1, offset=0, data=b"x"))


def test_a_receiver_that_grants_nonsense_is_found() -> None:
    """Less than nothing, or more than a window in all."""
    for window in (-1, WINDOW + 1):
        with pytest.raises(LinkFault):
            StreamSender().granted(Grant(window=window))
    sender = StreamSender()
    sender.granted(Grant(window=WINDOW))
    with pytest.raises(LinkFault):
        sender.granted(Grant(window=1))


def test_our_own_sender_can_not_overrun() -> None:
    """Sending more than the credit is our own fault, found at once."""
    with pytest.raises(ValueError, match="credit of 0"):
        StreamSender().sent(1)


def test_what_is_safe_never_goes_back() -> None:
    """A late grant does not make safe output unsafe."""
    sender = StreamSender()
    sender.granted(Grant(window=0, taken={1: 10, 2: 5}))
    sender.granted(Grant(window=0, taken={1: 7}))
    assert sender.taken == {1: 10, 2: 5}
