"""What C libraries say on stderr is kept off it, from however many threads, and stderr comes back."""

import os
import threading

import pytest

from stream.audio.quiet import quiet_stderr


def test_stderr_is_silent_inside_and_back_after(capfd):
    os.write(2, b"before ")
    with quiet_stderr(), quiet_stderr():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_it_comes_back_after_an_error(capfd):
    with pytest.raises(OSError, match="gone"), quiet_stderr():
        raise OSError("gone")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_two_threads_that_overlap_leave_it_as_it_was(capfd):
    """The first to come is the first to go: if each restored what it had met, stderr would be lost."""
    came, may_go = threading.Event(), threading.Event()

    def late():
        with quiet_stderr():
            came.set()
            may_go.wait()
            os.write(2, b"inside ")

    with quiet_stderr():
        thread = threading.Thread(target=late)
        thread.start()
        came.wait()
    may_go.set()
    thread.join()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
