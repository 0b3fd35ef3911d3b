"""Every address of a WebSocket."""

from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import path, re_path

from warmup.network.socket.consumer import NetworkConsumer


class Nowhere(AsyncWebsocketConsumer):
    """Refuses: there is nothing at this address."""

    async def connect(self) -> None:
        await self.close()


websocket_urlpatterns = [
    path("ws/network/", NetworkConsumer.as_asgi()),
    re_path("", Nowhere.as_asgi()),  # else it would be a traceback
]
