"""What there is to say about a session, as messages for the page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from stream.control.page.link import Message
from stream.control.parameters import PARAMETERS

if TYPE_CHECKING:
    from stream.control.presets import Presets
    from stream.session import Session


def about(session: Session) -> Message:
    """What stays as it is: the parameters and their ranges."""
    parameters = {name: dataclasses.asdict(one) for name, one in PARAMETERS.items()}
    return {"type": "about", "parameters": parameters}


def facts(session: Session, presets: Presets | None) -> Message:
    """What seldom changes."""
    budget = session.budget()
    return {
        "type": "facts",
        "title": session.title,
        "model": session.model,
        "separates": not session.without_model,
        "latency_ms": budget.ms(budget.total),
        "latency": [[name, budget.ms(samples)] for name, samples in budget.parts() if samples],
        "presets": presets.names() if presets else None,
        "preset": presets.current() if presets else None,
    }


def figures(session: Session) -> Message:
    """What moves. Peaks are linear, 1 is full scale."""
    stats = session.stats("control page")
    return {
        "type": "figures",
        "sample_rate": stats.sample_rate,
        "seconds": stats.seconds,
        "input": stats.peak_input,
        "vocals": stats.peak_vocals,
        "output": stats.peak_output,
        "load": stats.times.rtf,
        "hop_ms": 1000 * stats.times.median_s,
        "hop_p99_ms": 1000 * stats.times.p99_s,
        "deadline_ms": 1000 * stats.deadline_s,
        "late_hops": stats.late_hops,
        "late_s": stats.late_samples / stats.sample_rate,
        "xruns": stats.xruns,
        "state": stats.state,
        "separator": stats.separator,
        "error": stats.error,
        "recorded_s": session.recording.seconds,
        "recording": stats.recording,
        "device": stats.device,
        "losses": stats.losses,
        "notice": stats.notice,
    }
