"""A network device that gives back what it is given, later: not all kernels have a queue that does that."""

from __future__ import annotations

import collections
import fcntl
import os
import select
import struct
import threading
import time

import pytest

DEVICE = "/dev/net/tun"
SET_NAME = 0x400454CA  # TUNSETIFF
BARE_PACKETS = 0x1001  # IFF_TUN | IFF_NO_PI
PATIENCE = 20.0  # seconds


class Delay:
    """A device for packets, which come back from it after some seconds.

    Attributes
    ----------
    seconds : float
        How much later each comes back.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.seconds = seconds
        self._waiting: collections.deque[tuple[float, bytes]] = collections.deque()
        try:
            self._device = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._device, SET_NAME, struct.pack("16sH22x", name.encode(), BARE_PACKETS))
        except OSError as error:
            pytest.skip(f"this machine makes no network device for us: {error}")
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, name=f"delay {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Remove it, and what waits in it."""
        os.close(self._wake)
        self._thread.join(PATIENCE)
        os.close(self._woken)
        os.close(self._device)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._device, self._woken], [], [], self._rest())
            if self._woken in ready:
                return
            if self._device in ready:
                self._waiting.append((time.monotonic() + self.seconds, os.read(self._device, 65536)))
            while self._rest() == 0:
                os.write(self._device, self._waiting.popleft()[1])

    def _rest(self) -> float | None:
        """Until when the first packet waits."""
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
