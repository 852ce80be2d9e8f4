"""A browser whose WebGL contexts can be taken away and given back, as it does itself where there are too many."""

from __future__ import annotations

from playwright.sync_api import Page

# Weakly held: a context that a page has let go is not kept by being watched.
WATCH = """(() => {
    const get = HTMLCanvasElement.prototype.getContext;
    const made = [];
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        if (kind === "webgl2" && globalThis.igwWithoutWebGL) return null;
        const context = get.call(this, kind, ...rest);
        if (kind === "webgl2" && context !== null && !made.some((one) => one.deref() === context))
            made.push(new WeakRef(context));
        return context;
    };
    const loss = (context) => context.getExtension("WEBGL_lose_context");
    const losses = new WeakMap();
    globalThis.igwContexts = {
        // What they were in the order of their making; those that were collected, or lost, are left out.
        get live() {
            return made.map((one) => one.deref()).filter((one) => one !== undefined && !one.isContextLost());
        },
        get made() { return made.length; },
        lose() {
            const lost = this.live;
            for (const context of lost) {
                losses.set(context, loss(context));
                losses.get(context).loseContext();
            }
            return lost.length;
        },
        restore() {
            const lost = made.map((one) => one.deref()).filter((one) => losses.has(one) && one.isContextLost());
            for (const context of lost) losses.get(context).restoreContext();
            return lost.length;
        },
    };
})()"""


def watch(page: Page) -> None:
    """From the next page on."""
    page.add_init_script(WATCH)


def without_webgl(page: Page, is_so: bool = True) -> None:
    """Whether pictures that are made from now on find no WebGL2."""
    page.evaluate("is_so => { globalThis.igwWithoutWebGL = is_so; }", is_so)


def made(page: Page) -> int:
    """How many contexts were made in all."""
    return int(page.evaluate("() => igwContexts.made"))


def live(page: Page) -> int:
    """How many are there and not lost."""
    return int(page.evaluate("() => igwContexts.live.length"))


def lose(page: Page) -> int:
    """Take every context away; returns how many that were."""
    return int(page.evaluate("() => igwContexts.lose()"))


def restore(page: Page) -> int:
    """Give back those that were taken by `lose`; returns how many that were."""
    return int(page.evaluate("() => igwContexts.restore()"))
