"""Answers go over the wire as HTTP/1.1 wants them."""

from gateway.receivers import http_answers
from gateway.receivers.http_answers import Answer


def test_an_answer_has_a_status_a_length_and_its_headers() -> None:
    answer = Answer(status=429, kind="a/b", headers=(("Retry-After", "3"),), body=b"wait")
    assert http_answers.encoded(answer, date=b"Date: x\r\n", connection="close") == (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: a/b\r\nContent-Length: 4\r\n"
        b"Retry-After: 3\r\nConnection: close\r\nDate: x\r\n\r\nwait"
    )


def test_head_is_told_the_length_of_a_body_it_does_not_get() -> None:
    answer = Answer(status=405, kind="a/b", body=b"no")
    assert http_answers.encoded(answer, with_body=False) == (
        b"HTTP/1.1 405 Method Not Allowed\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n"
    )


def test_no_content_has_no_length() -> None:
    assert http_answers.encoded(Answer(status=204)) == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_what_is_echoed_comes_back_unchanged() -> None:
    answer = Answer(status=200, headers=(("Access-Control-Allow-Origin", "\xff"),))
    assert b"Allow-Origin: \xff\r\n" in http_answers.encoded(answer)


def test_dates_are_those_of_http() -> None:
    assert http_answers.date_line(784111777.9) == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
