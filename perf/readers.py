"""People who look at the dashboard while events arrive."""

import http.client
import threading
import time
from typing import Self
from urllib.parse import urlencode

from perf.processes import DOMAIN, EMAIL, PASSWORD, Appliance

PERIODS = ("day", "7d", "30d", "12mo")


class Readers:
    """One logged-in reader that asks for the whole dashboard again and again; a context manager. `seconds` are how long
    each answer took."""

    def __init__(self, server: Appliance, pause_seconds: float = 0.2) -> None:
        self._port = server.port
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.seconds: list[float] = []
        self.failed = 0

    def __enter__(self) -> Self:
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        self._cookie = self._log_in()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _log_in(self) -> str:
        form = urlencode({"email": EMAIL, "password": PASSWORD})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/login", form, headers)
        response = self._connection.getresponse()
        response.read()
        cookie = response.getheader("set-cookie")
        if cookie is None:
            raise SystemExit(f"logging in failed: {response.status}")
        return cookie.partition(";")[0]

    def _read(self) -> None:
        number = 0
        while not self._stop.is_set():
            began = time.perf_counter()
            period = PERIODS[number % len(PERIODS)]
            self._connection.request("GET", f"/sites/{DOMAIN}?period={period}", headers={"Cookie": self._cookie})
            response = self._connection.getresponse()
            response.read()
            self.failed += response.status != 200
            self.seconds.append(time.perf_counter() - began)
            number += 1
            self._stop.wait(self._pause_seconds)
