"""The frames that steer a connection and its streams, and carry nothing.

Source: RFC 9113 sections 6.3 to 6.9.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from common.wire.http2 import events, frames, settings
from common.wire.http2.codes import Broken, Code
from common.wire.http2.headers import Decoder
from common.wire.http2.judging import Judging
from common.wire.http2.limits import Limits

_word: Final = frames.WORD.unpack_from


class Control(Judging):
    """Takes every frame but DATA, HEADERS and CONTINUATION."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.heard = False  # the peer's first SETTINGS came
        self.acknowledged = False  # the peer acknowledged ours
        self.peer_streams: int | None = None  # that the peer allows at a time, if it said
        self.decoder = Decoder(limits.max_header_bytes)
        # Until the peer acknowledges our settings it may go by the default (section 6.5.3).
        self._new_receive_window = max(frames.DEFAULT_WINDOW, limits.stream_window_bytes)

    @abstractmethod
    def _going_away(self, last: int, code: int, debug: bytes) -> None:
        """Take a GOAWAY of the peer."""

    def _priority(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        if not number:
            raise Broken(Code.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._useless("PRIORITY frames")
        if len(payload) != 5:
            words = f"PRIORITY of {len(payload)} bytes; it has 5"
            self._stream_error(number, Code.FRAME_SIZE_ERROR, words)
        elif _word(payload)[0] & frames.MAX_STREAM == number:
            self._stream_error(number, Code.PROTOCOL_ERROR, "the stream depends on itself")

    def _rst_stream(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        if len(payload) != 4:
            words = f"RST_STREAM of {len(payload)} bytes; it has 4"
            raise Broken(Code.FRAME_SIZE_ERROR, words)
        if not number or self._is_idle(number):
            raise Broken(Code.PROTOCOL_ERROR, f"RST_STREAM on stream {number}, which is not open")
        self._count_reset()
        state = self.streams.get(number)
        if state is not None:
            self._forget(state)
            self._ended.add(number, "reset by peer")
            self._events.append(events.StreamReset(number, _word(payload)[0]))

    def _settings_came(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise Broken(Code.PROTOCOL_ERROR, f"SETTINGS on stream {number}; they belong on 0")
        if flags & frames.ACK:
            if payload:
                raise Broken(Code.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with a payload")
            self._settings_acknowledged()
            return
        if self._settings.add(self._now):
            raise self._flooded("SETTINGS frames", self.limits.max_settings, "settings")
        self.heard = True
        for identifier, value in settings.theirs(payload, server=self.SERVER):
            if identifier == frames.MAX_CONCURRENT_STREAMS:
                self.peer_streams = value
            elif identifier == frames.INITIAL_WINDOW_SIZE:
                self._first_window_changed(value)
            elif identifier == frames.MAX_FRAME_SIZE:
                self._frame_bytes = value
            elif identifier == frames.HEADER_TABLE_SIZE:
                self._table_size_changed(value)
        self._out.append(frames.SETTINGS_ACK)
        self._events.append(events.SettingsCame())
        self._windows_opened()

    def _settings_acknowledged(self) -> None:
        if self.acknowledged:
            self._useless("acknowledgements of SETTINGS")
            return
        self.acknowledged = True
        self.decoder.allow_table(self.limits.header_table_bytes)
        change = self.limits.stream_window_bytes - frames.DEFAULT_WINDOW
        if change < 0:  # until now the default was borne with
            for state in self.streams.values():
                state.receive_window += change
            self._new_receive_window += change

    def _ping_came(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise Broken(Code.PROTOCOL_ERROR, f"PING on stream {number}; it belongs on 0")
        if len(payload) != frames.PING_BYTES:
            raise Broken(Code.FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes; it has 8")
        if self._pings.add(self._now):
            raise self._flooded("PING frames", self.limits.max_pings, "pings")
        if flags & frames.ACK:
            self._events.append(events.PingAnswered(payload))
        else:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _goaway_came(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        if number:
            raise Broken(Code.PROTOCOL_ERROR, f"GOAWAY on stream {number}; it belongs on 0")
        if len(payload) < 8:
            words = f"GOAWAY of {len(payload)} bytes; it has 8 at least"
            raise Broken(Code.FRAME_SIZE_ERROR, words)
        self._useless("GOAWAY frames")
        last, code = _word(payload)[0] & frames.MAX_STREAM, _word(payload, 4)[0]
        self._going_away(last, code, payload[8:])

    def _window_update(self, number: int, credit: int) -> None:
        """Take a WINDOW_UPDATE of the right size."""
        state = self.streams.get(number)
        if state is not None:
            window = state.send_window + credit
            if not credit:
                self._stream_error(number, Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
            elif window > frames.MAX_WINDOW:
                words = f"WINDOW_UPDATE to {window} bytes; at most 2**31 - 1"
                self._stream_error(number, Code.FLOW_CONTROL_ERROR, words)
            else:
                state.send_window = window
        elif not number:
            self._send_window += credit
            if not credit or self._send_window > frames.MAX_WINDOW:
                code = Code.FLOW_CONTROL_ERROR if credit else Code.PROTOCOL_ERROR
                raise Broken(code, f"WINDOW_UPDATE by {credit} to {self._send_window} bytes")
        elif self._is_idle(number):
            words = f"WINDOW_UPDATE on stream {number}, which is not open"
            raise Broken(Code.PROTOCOL_ERROR, words)
        if self._waiting:
            self._windows_opened()

    def _window_update_misshapen(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        words = f"WINDOW_UPDATE of {len(payload)} bytes; it has 4"
        raise Broken(Code.FRAME_SIZE_ERROR, words)

    def _push_promise(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - one shape
        raise Broken(Code.PROTOCOL_ERROR, "PUSH_PROMISE, which nobody may send here")

    def _windows_opened(self) -> None:
        if self._waiting:
            self._flush()
            self._events.extend(map(events.Drained, self._drained))
