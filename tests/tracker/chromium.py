"""Chromium as a visitor has it: an ordinary agent, no sign of automation, nothing fetched from elsewhere."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator

from playwright.async_api import Browser, BrowserContext, Page, Playwright

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
OFFLINE = (
    "--no-sandbox",  # needed as root
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-gpu",
)
UNAUTOMATED = "--disable-blink-features=AutomationControlled"


def find() -> str | None:
    """The path of the browser, or None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


async def launch(playwright: Playwright, path: str, *flags: str) -> Browser:
    """A headless browser with the back-forward cache that Playwright would turn off."""
    return await playwright.chromium.launch(
        executable_path=path,
        # Also here, because a page that is being left no longer has what its context pretends.
        args=[*OFFLINE, f"--user-agent={AGENT}", *flags],
        ignore_default_args=["--disable-back-forward-cache"],
    )


async def visitor(browser: Browser) -> BrowserContext:
    """A fresh profile: a German in Berlin at a 1280 x 720 screen."""
    return await browser.new_context(
        user_agent=AGENT,
        locale="de-DE",
        timezone_id="Europe/Berlin",
        viewport={"width": 1280, "height": 720},
        screen={"width": 1280, "height": 720},
    )


@contextlib.asynccontextmanager
async def unattended(path: str, url: str) -> AsyncIterator[None]:
    """Chromium opened on a page that drives itself, with no debugger attached.

    A debugger disables prerendering and keeps every tab visible, so what depends on either is shown this way only.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            path, "--headless=new", *OFFLINE, "--disable-popup-blocking", f"--user-agent={AGENT}",
            f"--user-data-dir={profile}", url,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def real_focus(page: Page) -> None:
    """Let the page lose focus as a window does; Playwright tells every page that it has it."""
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})


async def flush(page: Page) -> None:
    """Send what waits, as hiding the tab for a moment does."""
    await set_hidden(page, True)
    await set_hidden(page, False)


async def set_hidden(page: Page, hidden: bool) -> None:
    """Say that the tab is hidden or shown again. A simulation: see `unattended` for the real thing."""
    await page.evaluate(
        """hidden => {
            const say = (name, value) => Object.defineProperty(document, name, {value, configurable: true});
            say("hidden", hidden);
            say("visibilityState", hidden ? "hidden" : "visible");
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
