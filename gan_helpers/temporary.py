"""States that last for a block and are restored whatever happens in it: modes, frozen weights, Ctrl-C as a wish."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(net: nn.Module):
    """Inside, the net is in evaluation mode; afterwards every part is as it was, also after an error or a Ctrl-C."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        yield net.eval()
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def frozen(net: nn.Module):
    """Inside, no weight of the net gets a gradient; afterwards those do that did, also after an error or a Ctrl-C."""
    trained = [p for p in net.parameters() if p.requires_grad]
    try:
        yield net.requires_grad_(False)
    finally:
        for p in trained:
            p.requires_grad_(True)


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
