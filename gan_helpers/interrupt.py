"""Ctrl-C as a wish to stop between two steps."""

from __future__ import annotations

import signal
import threading


class Interrupt:
    """Turns the first Ctrl-C (or SIGTERM) into a wish, so that no step is cut in half; the second one interrupts."""

    def __enter__(self) -> Interrupt:
        self.asked, self.old = False, {}
        if threading.current_thread() is threading.main_thread():  # only the main thread may set handlers
            ours = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not None]
            self.old = {s: signal.signal(s, self.ask) for s in ours}  # a host's in C could not be put back
        return self

    def ask(self, *_) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_) -> None:
        for s, handler in self.old.items():
            signal.signal(s, handler)
