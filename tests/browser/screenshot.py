"""python tests/browser/screenshot.py docs/control-page.png: the control page, as it is while a song plays.

The bundled song goes through the engine and the bundled model at the pace of a clock; the page is looked at
from a desk and from a phone, and both views go into one picture.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

from chromium import DESKTOP, PHONE, chromium

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from aiohttp.test_utils import unused_port
from page_rig import PlayedSession

from stream.control.page.companion import ControlPage
from stream.control.settings import Settings
from stream.demo import load_song
from stream.latency import SLACK_HOPS
from stream.separation.load import RunOptions, load_separator

PLAY_MS = 11_000  # until the spectrograms are full
FROM_S = 8  # where somebody sings
LEVELS = {"vocals": 0.3, "accompaniment": 1.0}

FRAME = """<!doctype html><meta charset=utf-8><style>
body { margin: 0; display: flex; align-items: center; gap: 44px; padding: 44px; width: max-content;
  background: radial-gradient(circle at 70% 20%, #2b3244, #171b25 70%); }
img { display: block; box-shadow: 0 0 0 1px #3a4358, 0 24px 70px #000a; }
.desk { width: 1280px; border-radius: 14px; }
.phone { width: 390px; border-radius: 44px;
  box-shadow: 0 0 0 9px #07080b, 0 0 0 10px #4a5468, 0 24px 70px #000c; }
</style>"""


def main(target: Path) -> None:
    separator, model = load_separator(None, run=RunOptions(live_hops=SLACK_HOPS["normal"], most_steps=4))
    song, _ = load_song(separator.sample_rate)
    song = song[FROM_S * separator.sample_rate :]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = ControlPage(
            host="127.0.0.1", port=unused_port(), settings=Settings.load(Path(folder) / "settings.toml")
        )
        with PlayedSession(song, Path(folder), separator, model) as session:
            session.controls.apply(LEVELS)
            page.start(session)
            try:
                views = {
                    "desk": _look(browser, page.port, DESKTOP),
                    "phone": _look(browser, page.port, PHONE),
                }
            finally:
                page.close()
        _frame(browser, views, target)


def _look(browser: Any, port: int, size: dict[str, Any]) -> bytes:
    context = browser.new_context(**{**size, "device_scale_factor": 2})
    view = context.new_page()
    view.goto(f"http://127.0.0.1:{port}/")
    view.wait_for_timeout(PLAY_MS)
    picture: bytes = view.screenshot()
    context.close()
    return picture


def _frame(browser: Any, views: dict[str, bytes], target: Path) -> None:
    images = "".join(
        f'<img class="{name}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        for name, picture in views.items()
    )
    view = browser.new_page(viewport={"width": 1_850, "height": 940})
    view.set_content(FRAME + images)
    view.locator("body").screenshot(path=target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
