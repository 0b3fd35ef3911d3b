"""What the web server takes of a WebSocket: counted where bytes arrive, before they are read."""

import contextlib
import logging

from autobahn.exception import Disconnected
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor

from livermore.web.client_address import address_of

logger = logging.getLogger(__name__)

MESSAGE_BYTES = 64 * 1024  # that come at a time: a page sends a hundred
FLOOD_FRAMES, FLOOD_BYTES, FLOOD_SECONDS = 300, 1024 * 1024, 5.0


class LimitedWebSocket(WebSocketProtocol):
    """A WebSocket that is counted among the connections, and of which not all is read."""

    _frames = _bytes = 0
    _counted_since = 0.0

    def connectionMade(self):
        self.transport.unregisterProducer()  # what was HTTP before
        super().connectionMade()

    def dataReceived(self, data):
        self._bytes += len(data)
        if self._floods() or self._is_early():
            self._cut_off()
        else:
            super().dataReceived(data)

    def onFrameBegin(self):
        self._frames += 1
        if self._floods():
            self._cut_off()
        else:
            super().onFrameBegin()

    def sendMessage(self, *arguments, **options):
        """Send a message of whatever length: what is limited is what comes."""
        most, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*arguments, **options)
        finally:
            self.maxMessagePayloadSize = most

    def handle_reply(self, message):
        with contextlib.suppress(Disconnected):  # nobody is left to be told
            super().handle_reply(message)

    def connectionLost(self, reason):
        self.factory.server_class.http_factory.forget(self.transport)
        super().connectionLost(reason)

    def _floods(self):
        """Tell whether more comes than a page ever sends: each frame costs all others time."""
        now = reactor.seconds()
        if now - self._counted_since >= FLOOD_SECONDS:
            self._counted_since, self._frames, self._bytes = now, 0, 0
        return self._frames > FLOOD_FRAMES or self._bytes > FLOOD_BYTES

    def _is_early(self):
        """Tell whether it speaks before its handshake is answered, which no browser does."""
        return self.state == self.STATE_CONNECTING and hasattr(self, "handshake_deferred")

    def _cut_off(self):
        if self.state != self.STATE_CLOSED:
            headers = getattr(self, "http_headers", {})
            peer = getattr(self.transport.getPeer(), "host", "")
            address = address_of(peer, headers.get("x-forwarded-for", ""))
            logger.warning(
                "socket.flooded address=%s frames=%d bytes=%d", address, self._frames, self._bytes
            )
            self.data = b""
            self.dropConnection(abort=True)

    def onClose(self, was_clean, code, reason):
        if hasattr(self, "server"):  # else its handshake was nonsense
            super().onClose(was_clean, code, reason)


class LimitedWebSocketFactory(WebSocketFactory):
    """All WebSockets."""

    protocol = LimitedWebSocket

    def setProtocolOptions(self, **options):
        most = {"maxMessagePayloadSize": MESSAGE_BYTES, "maxFramePayloadSize": MESSAGE_BYTES}
        super().setProtocolOptions(**options | most)
