"""The console in a real browser: Debian's Chromium, driven by Playwright. Nothing is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from console_visitor import Visitor
from support import Server, wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
CODE = {
    "pay.py": """
def handler(event, context):
    print("paying", event.decode())
    if b"-" in event:
        raise ValueError("amount is below zero")
    return event
""",
}


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Server]) -> Server:
    return serve_all(CODE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def problems() -> list[str]:
    """What the browser has complained about: scripts that failed, and what the policy forbids."""
    return []


@pytest.fixture
def page(chromium: Any, server: Server, problems: list[str]) -> Iterator[Any]:
    """A page of a browser that is logged in, in English and at the overview."""
    context = chromium.new_context(locale="en-US", viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(_origin(server) + Visitor(server).link())
    page.wait_for_url("**/console/s/**")
    yield page
    context.close()
    assert problems == []


def _origin(server: Server) -> str:
    return str(server.ready["console"]).removesuffix("/console/")


def test_a_link_logs_in_once_and_not_twice(chromium: Any, server: Server) -> None:
    link = _origin(server) + Visitor(server).link()
    first, second = chromium.new_context(locale="en-US"), chromium.new_context(locale="en-US")

    page = first.new_page()
    page.goto(link)
    page.wait_for_url("**/console/s/**")
    playwright.expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    other = second.new_page()
    other.goto(link)
    playwright.expect(other.get_by_text("has been used, or is too old")).to_be_visible()
    assert second.cookies() == []
    first.close()
    second.close()


def test_a_function_is_called_by_keys_alone(page: Any, server: Server) -> None:
    page.goto(page.url + "functions")
    page.keyboard.press("/")
    page.keyboard.type("pay")
    playwright.expect(page.locator("#table tbody tr")).to_have_count(1)
    page.get_by_role("link", name="pay", exact=False).first.click()

    page.locator("textarea[name=event]").fill('{"amount": 3}')
    page.keyboard.press("Control+Enter")

    playwright.expect(page.locator("#result .verdict.good")).to_be_visible()
    playwright.expect(page.locator("#body")).to_have_text('{\n  "amount": 3\n}')
    playwright.expect(page.locator("#log")).to_contain_text("paying")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_url("**/functions")


def test_why_a_call_failed_is_found_in_three_clicks_from_the_overview(page: Any, server: Server) -> None:
    overview = page.url
    server.invoke("default/pay", b"-7")

    def told() -> bool:
        page.goto(overview)
        return bool(page.get_by_text("amount is below zero").count())

    wait_until(told, "the failure on the overview")
    page.locator("section.card tbody tr", has_text="amount is below zero").first.locator("a.mono").click()

    playwright.expect(page.locator(".why")).to_contain_text("amount is below zero")
    playwright.expect(page.locator(".records")).to_contain_text("ValueError")
    playwright.expect(page.locator(".timeline")).to_contain_text("Invoke")


def test_a_log_is_followed(page: Any, server: Server) -> None:
    page.goto(page.url + "functions/default/pay/logs")
    page.get_by_role("link", name="Follow").click()
    page.wait_for_url("**follow=1")

    server.invoke("default/pay", b"<b>live</b>")

    playwright.expect(page.locator("#records .record").last).to_contain_text("<b>live</b>")


def test_logging_out_ends_it(page: Any) -> None:
    inside = page.url
    page.get_by_role("button", name="Log out").click()

    playwright.expect(page.get_by_text("You are logged out")).to_be_visible()
    assert page.goto(inside).status == 401
