"""The control page in a real browser, at the sizes of a phone and of a desk, beside an engine that plays."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the control page needs aiohttp (pip install -e '.[ui]')")

from aiohttp.test_utils import unused_port
from chromium import DESKTOP, PHONE, NoBrowserError, chromium
from page_rig import PlayedSession, played_noise

from stream.control.page.companion import ControlPage
from stream.control.settings import Settings

pytestmark = pytest.mark.browser

PATIENCE_MS = 15_000
PATIENCE_S = PATIENCE_MS / 1000
SIZES = {
    "small phone": {**PHONE, "viewport": {"width": 320, "height": 568}},
    "phone": PHONE,
    "phone on its side": {**PHONE, "viewport": {"width": 844, "height": 390}},
    "tablet": {**PHONE, "viewport": {"width": 820, "height": 1_180}},
    "desk": DESKTOP,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(chromium())
        except NoBrowserError as error:
            if os.environ.get("DIFFVS_REQUIRE_DEVICES") == "1":
                pytest.fail(f"{error} is missing, and DIFFVS_REQUIRE_DEVICES=1 asks for it")
            pytest.skip(f"{error} is missing")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedSession]:
    with played_noise(tmp_path_factory.mktemp("takes")) as session:
        yield session


@pytest.fixture(scope="module")
def served(browser: Any, session: PlayedSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(browser, session, tmp_path_factory.mktemp("settings") / "settings.toml") as desk:
        yield desk


@pytest.fixture
def desk(served: Desk) -> Iterator[Desk]:
    """With the controls as at first, and nobody looking."""
    served.controls.apply({"mode": "karaoke", "mute": False, "bypass": False, "gain": 0.0, "steps": "auto"})
    yield served
    served.look_away()


class Desk:
    """A control page that is served, and the browsers that look at it."""

    def __init__(self, browser: Any, session: PlayedSession, settings: Path, host: str = "127.0.0.1"):
        self.session, self.controls = session, session.controls
        self._browser, self._settings = browser, settings
        self._host, self.port = host, unused_port()
        self.errors: list[str] = []
        self._contexts: list[Any] = []
        self.serve()

    def serve(self) -> None:
        self.page = ControlPage(host=self._host, port=self.port, settings=Settings.load(self._settings))
        self.page.start(self.session)

    def look(self, size: dict[str, Any] = DESKTOP, *, token: str = "", live: bool = True, **more: Any) -> Any:
        context = self._browser.new_context(**size, **more)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        view = context.new_page()
        view.on("pageerror", lambda error: self.errors.append(str(error)))
        view.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        view.on("request", lambda request: self._check(request.url))
        view.goto(f"http://127.0.0.1:{self.port}/#{token}")
        if live:
            view.wait_for_selector("body[data-link=live]")
            becomes(view, "document.querySelector('#accompaniment').ariaValueText !== null")
        return view

    def look_away(self) -> None:
        while self._contexts:
            self._contexts.pop().close()
        self.errors.clear()

    def _check(self, url: str) -> None:
        if not url.startswith((f"http://127.0.0.1:{self.port}/", f"ws://127.0.0.1:{self.port}/")):
            self.errors.append(f"asked for {url}")

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.look_away()
        self.page.close()


def until(view: Any, condition: Callable[[], bool]) -> None:
    """Lets the browser go on meanwhile."""
    late_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < late_s, "it did not happen in time"
        view.wait_for_timeout(10)


def becomes(view: Any, condition: str) -> None:
    """Not wait_for_function, which the page's policy forbids."""
    until(view, lambda: view.evaluate(condition))


def middle(view: Any, selector: str) -> tuple[float, float]:
    box = view.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_everything_fits_and_is_big_enough_for_a_thumb(desk: Desk, size: dict[str, Any]):
    view = desk.look(size)
    wide = view.evaluate("document.documentElement.scrollWidth")
    assert wide <= size["viewport"]["width"]
    small = view.evaluate(
        """[...document.querySelectorAll('button, .fader, .segments label, input[type=text], #gain')]
            .filter((one) => one.checkVisibility())
            .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
            .filter(([, box]) => box.width < 44 || box.height < 44).map(([name]) => name)"""
    )
    assert small == []
    cut = view.evaluate(
        """[...document.querySelectorAll('.fader label, .pad strong, .pad small, .wide, .readouts dd')]
            .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
            .map((one) => one.textContent)"""
    )
    assert cut == []
    assert desk.errors == []


@pytest.mark.parametrize("size", [SIZES["phone"], DESKTOP], ids=["phone", "desk"])
def test_faders_pads_and_pictures_need_no_scrolling(desk: Desk, size: dict[str, Any]):
    view = desk.look(size)
    for selector in ("#mute", "#bypass", "[data-fader=vocals]", "#picture-vocals", "#presets", "#latency"):
        box = view.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= size["viewport"]["height"], selector


def test_a_mouse_moves_a_fader_and_the_other_browser_follows(desk: Desk):
    one, two = desk.look(), desk.look(PHONE)
    x, y = middle(one, "[data-fader=vocals]")
    one.mouse.move(x, y)
    one.mouse.down()
    until(one, lambda: desk.controls["vocals"] == pytest.approx(0.5, abs=0.02))
    one.mouse.move(x, y - 60, steps=10)
    one.mouse.move(x, y - 120, steps=10)
    one.mouse.up()
    shown = one.locator("output[for=vocals]").text_content()
    assert int(shown) > 60
    until(one, lambda: desk.controls["vocals"] == int(shown) / 100)
    becomes(two, f"document.querySelector('output[for=vocals]').textContent === '{shown}'")
    assert desk.controls["mode"] == "custom"


def test_a_fader_under_a_hand_does_not_jump_back(desk: Desk):
    """Echoes of earlier moves come while later ones are made: none of them may be shown."""
    view = desk.look()
    view.evaluate(
        """const shown = document.querySelector('output[for=accompaniment]');
        globalThis.seen = [];
        new MutationObserver(() => seen.push(+shown.textContent)).observe(shown, { childList: true })"""
    )
    box = view.locator("[data-fader=accompaniment]").bounding_box()
    x = box["x"] + box["width"] / 2
    view.mouse.move(x, box["y"] + 14)
    view.mouse.down()
    for step in range(60):
        view.mouse.move(x, box["y"] + 14 + step * (box["height"] - 30) / 60)
        if step % 6 == 0:
            view.wait_for_timeout(15)
    view.mouse.up()
    until(view, lambda: desk.controls["accompaniment"] < 0.05)
    view.wait_for_timeout(300)
    seen = view.evaluate("seen")
    assert len(seen) > 10
    assert seen == sorted(seen, reverse=True)


def test_who_moves_last_is_what_all_show(desk: Desk):
    one, two = desk.look(), desk.look()
    for number in range(8):
        view = (one, two)[number % 2]
        view.locator("#vocals").focus()
        view.keyboard.press("ArrowUp")
        view.keyboard.press("ArrowUp")

    def all_agree() -> bool:
        shown = {view.locator("output[for=vocals]").text_content() for view in (one, two)}
        return shown == {f"{round(100 * desk.controls['vocals'])}"} != {"0"}

    until(one, all_agree)
    one.wait_for_timeout(100)  # whatever was on its way has come
    desk.controls.set("vocals", 0.77, "midi")
    for view in (one, two):
        becomes(view, "document.querySelector('output[for=vocals]').textContent === '77'")


def test_a_finger_moves_a_fader_from_where_it_is(desk: Desk):
    view = desk.look(PHONE)
    touch = view.context.new_cdp_session(view)

    def at(kind: str, *where: float) -> None:
        points = [{"x": where[0], "y": where[1]}] if where else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    desk.controls.set("vocals", 0.2)
    becomes(view, "document.querySelector('output[for=vocals]').textContent === '20'")
    x, y = middle(view, "[data-fader=vocals]")
    at("touchStart", x, y)
    at("touchEnd")
    view.wait_for_timeout(200)
    assert desk.controls["vocals"] == 0.2  # a touch alone moves nothing
    height = view.locator("[data-fader=vocals]").bounding_box()["height"] - 24
    at("touchStart", x, y)
    for part in range(1, 11):
        at("touchMove", x, y - part * 0.03 * height)
    at("touchEnd")
    until(view, lambda: desk.controls["vocals"] == pytest.approx(0.5, abs=0.02))
    assert view.evaluate("scrollY") == 0


def test_the_pad_mutes_while_it_is_held(desk: Desk):
    view = desk.look()
    view.mouse.move(*middle(view, "#mute"))
    view.mouse.down()
    until(view, lambda: desk.controls["mute"])
    view.wait_for_selector("#mute[aria-pressed=true]")
    view.wait_for_timeout(2_500)  # longer than a lease: the page renews it
    assert desk.controls["mute"]
    view.mouse.up()
    until(view, lambda: not desk.controls["mute"])


@pytest.mark.parametrize("how", ["close", "blur", "cancel"])
def test_the_pad_lets_go_when_the_hand_is_lost(desk: Desk, how: str):
    view, other = desk.look(), desk.look()
    view.mouse.move(*middle(view, "#mute"))
    view.mouse.down()
    until(view, lambda: desk.controls["mute"])
    if how == "close":
        view.close()
    elif how == "blur":
        view.evaluate("window.dispatchEvent(new Event('blur'))")
    else:
        view.evaluate("document.querySelector('#mute').dispatchEvent(new PointerEvent('pointercancel'))")
    until(other, lambda: not desk.controls["mute"])


def test_keys_alone_are_enough(desk: Desk):
    view = desk.look()
    reached = []
    for _ in range(20):
        view.keyboard.press("Tab")
        reached.append(view.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"vocals", "accompaniment", "mute", "bypass", "gain", "record", "split"} <= set(reached)
    assert reached[:2] == ["vocals", "accompaniment"]
    vocals = view.get_by_role("slider", name="Vocals", exact=True)
    vocals.focus()
    view.keyboard.press("End")
    until(view, lambda: desk.controls["vocals"] == 1.0)
    view.keyboard.press("ArrowDown")
    until(view, lambda: desk.controls["vocals"] == 0.99)
    assert vocals.get_attribute("aria-valuetext") == "99 percent"
    view.get_by_role("button", name="Hold to mute").focus()
    view.keyboard.down("Space")
    until(view, lambda: desk.controls["mute"])
    view.keyboard.up("Space")
    becomes(view, "document.querySelector('#spoken').textContent == 'Vocals back'")
    assert not desk.controls["mute"]
    view.get_by_role("button", name="Bypass").focus()
    view.keyboard.press("Enter")
    until(view, lambda: desk.controls["bypass"])
    becomes(view, "document.querySelector('#spoken').textContent.startsWith('Bypass')")
    view.get_by_role("radio", name="2").check()
    until(view, lambda: desk.controls["steps"] == "2")
    view.get_by_role("slider", name="Output gain").focus()
    view.keyboard.press("ArrowLeft")
    until(view, lambda: desk.controls["gain"] == -0.5)


def test_focus_is_seen(desk: Desk):
    view = desk.look()
    view.keyboard.press("Tab")
    style = view.evaluate("getComputedStyle(document.querySelector('[data-fader=vocals]')).outlineStyle")
    assert style == "solid"


def test_a_click_that_cannot_be_held_turns_the_mute_over(desk: Desk):
    view = desk.look()
    view.evaluate("document.querySelector('#mute').click()")  # as a screen reader does
    until(view, lambda: desk.controls["mute"])
    view.evaluate("document.querySelector('#mute').click()")
    until(view, lambda: not desk.controls["mute"])


def test_presets_are_saved_recalled_and_deleted(desk: Desk):
    one, two = desk.look(), desk.look(PHONE)
    desk.controls.apply({"vocals": 0.35, "accompaniment": 0.8})
    one.get_by_label("Save as preset").fill("<b>Größe</b>")
    one.keyboard.press("Enter")
    chip = two.get_by_role("button", name="<b>Größe</b>", exact=True)
    chip.wait_for()
    two.get_by_role("button", name="mix", exact=True).click()
    until(two, lambda: desk.controls["mode"] == "mix")
    chip.click()
    until(two, lambda: desk.controls["vocals"] == 0.35)
    one.wait_for_selector(".chip[aria-pressed=true] >> text=Größe")
    one.locator("#delete").click()
    one.locator("#delete").click()
    chip.wait_for(state="detached")


def test_recording_begins_and_ends(desk: Desk):
    view = desk.look()
    view.get_by_role("button", name="Record").click()
    becomes(view, "document.querySelector('#recorded').textContent.includes(':')")
    view.get_by_role("button", name="Split").click()
    view.get_by_role("button", name="Record").click()
    until(view, lambda: not desk.controls["record"])
    until(view, lambda: len(desk.session.recording.takes[-1].paths) >= 4)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_meters_and_spectrograms_are_alive(desk: Desk, motion: str):
    view = desk.look(PHONE, reduced_motion=motion)
    becomes(view, "+document.querySelector('#meter-input').ariaValueNow > -30")
    for name in ("mixture", "vocals"):
        becomes(
            view,
            f"""(() => {{ const canvas = document.querySelector('#picture-{name}');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.some((value, at) => at % 4 < 3 && value > 120); }})()""",
        )
    assert view.locator("#latency").text_content().endswith(" ms")
    assert desk.errors == []


def test_the_end_is_said_and_a_new_session_found(desk: Desk):
    view = desk.look()
    desk.page.close()
    view.wait_for_selector("body[data-link=ended]")
    assert "session has ended" in view.locator("#banner").text_content()
    assert view.locator("#desk").get_attribute("inert") is not None
    desk.errors.clear()  # the browser tells of every try in vain
    desk.controls.set("vocals", 0.66)
    desk.serve()
    view.wait_for_selector("body[data-link=live]")
    becomes(view, "document.querySelector('output[for=vocals]').textContent === '66'")
    assert view.locator("#banner").is_hidden()


def test_a_page_without_the_token_moves_nothing(browser: Any, session: PlayedSession, tmp_path: Path):
    with Desk(browser, session, tmp_path / "settings.toml", host="0.0.0.0") as desk:
        view = desk.look(token="guess", live=False)
        view.wait_for_selector("body[data-link=refused]")
        assert "not valid" in view.locator("#banner").text_content()
        assert view.locator("#desk").get_attribute("inert") is not None
        desk.look(token=desk.page.token)
        assert desk.errors == []
