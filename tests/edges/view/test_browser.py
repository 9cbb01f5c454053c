"""The record in a real browser: nothing in it loads, runs or links."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rlm_magic.view import record

from .sample import run
from .test_record import HOSTILE

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_hostile_record_is_inert(tmp_path: Path) -> None:
    page_file = tmp_path / "record.html"
    page_file.write_text(
        record(run(lambda said: f"{HOSTILE}{said}"))["text/html"].replace("<details>", "<details open>")
    )
    happened: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: happened.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_load_state("networkidle")
        active = page.locator("script, img, svg, a, iframe, object, [onclick], [ontoggle], [style], [id]").count()
        shown = page.locator("pre.run-answer").inner_text()
        browser.close()
    assert happened == [page_file.as_uri()]
    assert active == 0
    assert "<img src=x onerror=alert(1)>" in shown
