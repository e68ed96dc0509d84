"""Export and Check, whole and in pieces: the same answer either way, and nothing stays admitted."""

from hypothesis import given, strategies as st

from common.wire import compression
from gateway.receivers import door
from gateway.receivers.grpc_answers import Refused
from gateway.receivers.grpc_call import Asked, Call, Later
from gateway.receivers.grpc_methods import Export, Health
from tests.gateway import samples
from tests.gateway.receivers.grpc_wire import framed

BODY = samples.request(points=3)

bodies = st.one_of(
    st.builds(framed, st.sampled_from([b"", BODY, BODY * 40, b"\x0a\xff"]), st.integers(0, 2)),
    st.builds(lambda body: framed(compression.deflate(body, "gzip"), 1), st.just(BODY * 50)),
    st.binary(max_size=12),
)


def in_pieces(method: Export | Health, asked: Asked, data: bytes) -> bytes:
    call = Call(1, "peer", asked, 0.0, 0.0)
    method.enter(call, 700)
    try:
        call.add(data)
        if call.length >= 0:
            method.weigh(call)
        return method.answer(call)
    finally:
        method.leave(call)


@given(
    bodies,
    st.sampled_from(["identity", "gzip", "br"]),
    st.sampled_from(["", "one"]),
    st.sampled_from([door.Taken(points=1), door.Taken(points=3, rejected=1), door.Overloaded(3.0)]),
    st.integers(0, 3000),
)
def test_whole_or_in_pieces_is_the_same(
    data: bytes, encoding: str, tokens: str, answer: door.Answer, held: int
) -> None:
    intake = samples.Remembering()
    intake.answer = answer
    terms = samples.terms(
        intake, client_tokens=tokens, max_request_bytes=2500, max_in_flight_bytes=4000
    )
    terms.admission.admit(held, "another")
    outcomes = []
    for method in (Export(terms, door.Traffic("grpc")), Health(lambda: True)):
        asked = Asked(method=method, encoding=encoding)
        for way in (lambda m, a: m.whole(data, "peer", a), lambda m, a: in_pieces(m, a, data)):
            try:
                outcomes.append(way(method, asked))
            except Refused as refused:
                outcomes.append(refused.code)
            assert terms.admission.in_flight == held
    assert outcomes[0] == outcomes[1]
    assert outcomes[2] == outcomes[3]


def test_what_has_to_be_on_disk_stays_admitted_whole_or_in_pieces() -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake)
    method = Export(terms, door.Traffic("grpc"))
    asked = Asked(method=method, encoding="gzip")
    packed = compression.deflate(BODY, "gzip")
    commit = intake.wait_for_disk()
    whole = method.whole(framed(packed, 1), "peer", asked)
    call = Call(1, "peer", asked, 0.0, 0.0)
    method.enter(call, 700)
    call.add(framed(packed, 1))
    method.weigh(call)
    pieces = method.answer(call)
    assert isinstance(whole, Later)
    assert isinstance(pieces, Later)
    assert pieces.call is call
    for later in (whole, pieces):
        assert (later.commit, later.message) == (commit, framed(b""))
        assert later.call.agreed == len(packed) + len(BODY)
    assert terms.admission.in_flight == 2 * (len(packed) + len(BODY))
    for later in (whole, pieces):
        method.leave(later.call)
    assert (terms.admission.in_flight, terms.admission.peers) == (0, 0)


def test_bytes_are_counted_as_sent_and_as_inflated() -> None:
    traffic = door.Traffic("grpc")
    method = Export(samples.terms(samples.Remembering()), traffic)
    asked = Asked(method=method, encoding="gzip")
    packed = compression.deflate(BODY, "gzip")
    method.whole(framed(packed, 1), None, asked)
    in_pieces(method, asked, framed(packed, 1))
    assert traffic.wire_bytes == 2 * len(packed)
    assert traffic.inflated_bytes == 2 * len(BODY)
