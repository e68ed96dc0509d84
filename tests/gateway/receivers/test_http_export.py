"""A request is admitted by what is known of it, and gives back what it took."""

import gzip
import json

import pytest

from common.wire import otlp_json
from gateway.receivers import door, http_export, refusals
from gateway.receivers.http_request import Request
from tests.gateway import samples

BODY = samples.request(points=50)


def export(
    intake: door.Intake | None = None, **how
) -> tuple[http_export.Export, door.Terms, door.Traffic]:
    terms, traffic = samples.terms(intake or samples.Remembering(), **how), door.Traffic("http")
    return http_export.Export(terms, traffic), terms, traffic


def request(kind: str = refusals.PROTOBUF, **fields) -> Request:
    return Request(kind=kind, length=None, persists=True, **fields)


def test_what_has_to_be_on_disk_keeps_its_ticket_and_its_answer() -> None:
    intake = samples.Remembering()
    subject, terms, _ = export(intake)
    ticket = subject.admit(request(), len(BODY), "a")
    commit = intake.wait_for_disk()
    assert subject.take(request(), BODY, ticket) == http_export.Later(None, commit, 1)
    commit = intake.wait_for_disk(rejected=1, message="no name")
    later = subject.take(request(refusals.JSON), b"{}", ticket)
    assert isinstance(later, http_export.Later)
    assert later.commit is commit
    assert later.answer == http_export.Answer(
        status=200, kind=refusals.JSON, body=otlp_json.response(1, "no name")
    )
    assert terms.admission.in_flight == len(BODY)
    ticket.release()


def test_what_is_declared_is_reserved_and_an_estimate_where_nothing_is() -> None:
    subject, terms, _ = export()
    tickets = [subject.admit(request(), 10, "a"), subject.admit(request(), None, "b")]
    assert terms.admission.in_flight == 10 + http_export.ESTIMATE
    for ticket in tickets:
        ticket.release()
    assert terms.admission.in_flight == 0


def test_an_estimate_grows_with_what_comes_up_to_the_limit() -> None:
    subject, terms, _ = export(max_request_bytes=150_000)
    ticket = subject.admit(request(), None, "a")
    subject.check(ticket, http_export.ESTIMATE)
    assert ticket.size == http_export.ESTIMATE
    subject.check(ticket, http_export.ESTIMATE + 1)
    assert ticket.size == 2 * http_export.ESTIMATE
    subject.check(ticket, 150_000)
    assert ticket.size == terms.admission.in_flight == 150_000
    with pytest.raises(refusals.Refusal, match="the limit is 150000") as caught:
        subject.check(ticket, 150_001)
    assert caught.value.http == 413
    ticket.release()
    assert terms.admission.in_flight == 0


def test_a_declared_length_is_held_against_the_limit() -> None:
    subject, terms, _ = export(max_request_bytes=1000)
    with pytest.raises(refusals.Refusal, match="1001 bytes, the limit is 1000") as caught:
        subject.admit(request(), 1001, "a")
    assert caught.value.http == 413
    subject.admit(request(), 1000, "a").release()
    assert terms.admission.in_flight == 0


def test_the_senders_own_share_is_429_and_the_processs_is_503() -> None:
    subject, terms, _ = export(max_in_flight_bytes=100, peer_share=0.5)
    held = subject.admit(request(), 50, "a")
    with pytest.raises(refusals.Refusal) as own:
        subject.admit(request(), 10, "a")
    assert (own.value.http, own.value.after) == (429, 1.0)
    other = subject.admit(request(), 45, "b")
    with pytest.raises(refusals.Refusal) as everybody:
        subject.admit(request(), 10, "c")
    assert everybody.value.http == 503
    assert terms.admission.refused == {"peer": 1, "bytes": 1, "memory": 0}
    for ticket in (held, other):
        ticket.release()
    assert (terms.admission.in_flight, terms.admission.peers) == (0, 0)


def test_what_it_inflates_to_counts_too_and_may_be_too_much() -> None:
    packed = gzip.compress(BODY)
    subject, terms, traffic = export(max_in_flight_bytes=len(packed) + len(BODY) + 5)
    assert terms.admission.admit(6, "other")
    ticket = subject.admit(request(encoding="gzip"), len(packed), "a")
    with pytest.raises(refusals.Refusal) as caught:
        subject.take(request(encoding="gzip"), packed, ticket)
    assert caught.value.http == 503
    assert traffic.wire_bytes == len(packed)
    terms.admission.release(6, "other")
    assert subject.take(request(encoding="gzip"), packed, ticket) is None
    assert ticket.size == len(packed) + len(BODY)
    ticket.release()
    assert terms.admission.in_flight == 0


def test_a_bomb_is_413_and_the_end_of_the_connection() -> None:
    subject, _, _ = export(max_request_bytes=1000)
    packed = gzip.compress(bytes(100_000))
    ticket = subject.admit(request(encoding="gzip"), len(packed), "a")
    with pytest.raises(refusals.Refusal) as caught:
        subject.take(request(encoding="gzip"), packed, ticket)
    assert (caught.value.http, caught.value.closes) == (413, True)


def test_clients_need_a_token_where_there_are_any_and_agents_have_their_own() -> None:
    subject, _, _ = export(tokens="agent", client_tokens="client\nnew")
    for shown, trusted in (
        (b"Bearer client", False),
        (b"bearer new", False),
        (b"Bearer agent", True),
    ):
        assert subject.admit(request(authorization=shown), 10, "a").trusted is trusted
    for shown in (None, "Bearer other", "Basic client", "Bearer \udcff", ""):
        with pytest.raises(refusals.Refusal) as caught:
            subject.admit(request(authorization=shown), 10, "a")
        assert caught.value.http == 401


def test_who_is_not_let_in_takes_nothing() -> None:
    intake = samples.Remembering()
    subject, terms, _ = export(intake, client_tokens="x")
    intake.busy = door.Overloaded(3.0)
    with pytest.raises(refusals.Refusal) as caught:
        subject.admit(request(), 10, "a")
    assert caught.value.http == 401, "a stranger is not told how we are"
    with pytest.raises(refusals.Refusal) as caught:
        subject.admit(request(authorization="Bearer x"), 10, "a")
    assert (caught.value.http, caught.value.after) == (503, 3.0)
    assert terms.admission.in_flight == 0


def test_json_is_answered_in_json_and_protobuf_by_nothing_if_all_is_well() -> None:
    intake = samples.Remembering()
    subject, _, traffic = export(intake)
    text = json.dumps({"resourceMetrics": []}).encode()
    ticket = subject.admit(request(refusals.JSON), 10, "a")
    answer = subject.take(request(refusals.JSON), text, ticket)
    assert (answer.status, answer.kind, answer.body) == (200, refusals.JSON, otlp_json.response())
    assert subject.take(request(), BODY, ticket) is None
    assert [body for body, _, _ in intake.taken] == [b"", BODY]
    assert traffic.inflated_bytes == traffic.wire_bytes == len(text) + len(BODY)
