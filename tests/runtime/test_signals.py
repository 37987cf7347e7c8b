"""SIGTERM ends the work as Ctrl-C does, and the handler is given back."""

import os
import signal

import pytest

from mri_saliency.runtime.signals import sigterm_as_interrupt


def test_sigterm_is_an_interrupt_and_the_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
