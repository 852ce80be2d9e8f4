"""Texts of strangers on a page: none runs, none makes an element, none breaks the layout, none asks a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

import ig_widgets as igw
from benchmarks._jupyter import Lab, run_notebook
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.texts import plain, whole
from tests.browser.screen import SECONDS, Screen
from tests.explorers.subjects import Classifier, panel, photo
from tests.hostile import CORPUS, HARMLESS, RUN, TEXTS

pytestmark = [pytest.mark.browser, pytest.mark.robustness]

Figure = Callable[..., None]

WIDEST = list(CORPUS).index("10 kB of emoji")
# How many elements of each kind there are, and how large the explorer is.
COUNT = """root => {
    const tags = {};
    const drawn = new Set();
    for (const one of root.querySelectorAll("*"))
        // Of marks in a chart there are as many as it takes.
        if (one.parentElement.closest("svg")) drawn.add(one.tagName);
        else tags[one.tagName] = (tags[one.tagName] ?? 0) + 1;
    const { width, height, right } = root.getBoundingClientRect();
    const beyond = Math.max(...[...root.querySelectorAll("*")].map((one) => one.getBoundingClientRect().right)) - right;
    return { tags, drawn: [...drawn], width, height, beyond };
}"""


# In every page and frame: how often a text has run. What a text does is to set this, here or in the page around it.
TRAP = """{
    let count = 0;
    Object.defineProperty(window, "executions", { get: () => count });
    Object.defineProperty(window, "hacked", { get: () => count > 0, set: () => { count += 1; } });
}"""


@dataclass
class Watch:
    """What a page does that it should not."""

    asked: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.add_init_script(TRAP)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", lambda request: self.stopped.append(f"{request.failure}: {request.url}"))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("popup", lambda popup: self.pages.append(popup.url))
        page.on("frameattached", lambda frame: self.pages.append(frame.name))

    def ran(self, page: Page) -> int:
        """How often texts have run in it. Once a page: the trap is then sprung, to see that it works."""
        count = int(page.evaluate("executions"))
        page.evaluate(RUN)
        assert page.evaluate("executions") == count + 1
        return count

    def beyond(self, *known: str) -> list[str]:
        """Addresses that begin otherwise."""
        return [url for url in self.asked if not url.startswith((*known, "data:", "blob:"))]


# ---------------------------------------------------------------- JupyterLab

SETUP = """
import json
from pathlib import Path
import torch
import ig_widgets as igw
from ig_widgets.faithfulness import audit_regions

TEXTS, HARMLESS, WIDEST = json.loads(Path("texts.json").read_text("ascii"))
picture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))

class Model(torch.nn.Sequential):
    raises = False

    def forward(self, x):
        if self.raises and x.requires_grad:
            text = TEXTS[explorer.n_steps - 2]
            error = RuntimeError(f"{explorer.n_steps}: {text}")
            error.add_note(text)
            raise error
        return super().forward(x)

def explore(labels):
    model = Model(
        torch.nn.Conv2d(3, 4, 5), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, len(labels)),
    ).eval()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
    # So that a margin is over the widest of all names.
    model[-1].bias.data[WIDEST] += 100
    return igw.ImageExplorer(model, picture, labels=labels, target=0, n_steps=1, output="margin")

def offer(explorer, names):
    for i, name in enumerate(names):
        make = lambda x, level=i / 200: torch.full_like(x, level)
        make.__name__ = name
        explorer.baseline = make
    explorer.baseline = "black"

def compare(explorer):
    explorer.compare(*[{"baseline": explorer._baselines[9 + i], "target": i} for i in (3, len(TEXTS) // 2, 70)])

usual, explorer = explore(HARMLESS), explore(TEXTS)
"""
TABLE = """
from IPython.display import display
display(audit_regions(explorer._subject.model, picture[None], dict.fromkeys(TEXTS, (0, 0, 4, 4)), target=0))
explorer.gallery()
"""

# Chooses each class in turn, and looks at the page when it is drawn.
CLASSES = """async ([root, count, timeout]) => {
    const look = COUNT;
    const select = root.querySelector("[aria-label=target]");
    const overlay = root.querySelector("[role=img].igw-overlay");
    const found = [];
    for (let index = 0; index < count; index++) {
        select.value = String(index);
        select.dispatchEvent(new Event("change"));
        const name = [...select.options].find(({ value }) => value === String(index)).text;
        const until = performance.now() + timeout;
        const known = name.replace(/ [0-9.]+%$/, "");
        for (;;) {
            await new Promise(requestAnimationFrame);
            const isDrawn = overlay.ariaLabel.startsWith(`attribution overlay: ${known},`);
            if (isDrawn && root.querySelector("[role=status]").textContent.startsWith("idle")) break;
            if (performance.now() > until) throw new Error(`never drawn: ${known} but ${overlay.ariaLabel}`);
        }
        found.push([look(root), name]);
    }
    return found;
}""".replace("COUNT", COUNT)

# Sets the steps, by which the model knows what to raise, and reads what the status line says.
ERRORS = """async ([root, count, timeout]) => {
    const look = COUNT;
    const steps = root.querySelector("[aria-label=steps]");
    const status = root.querySelector("[role=status]");
    const found = [];
    for (let number = 2; number < count + 2; number++) {
        steps.value = String(number);
        steps.dispatchEvent(new Event("input"));
        steps.dispatchEvent(new Event("change"));
        const until = performance.now() + timeout;
        // Marks of direction stand where right-to-left letters begin and end.
        const said = () => status.textContent.replaceAll("\\u200e", "");
        while (!said().startsWith(`failed: the model raised RuntimeError: ${number}:`)) {
            await new Promise(requestAnimationFrame);
            if (performance.now() > until) throw new Error(`never failed: ${number} ${status.textContent}`);
        }
        found.push([look(root), status.textContent]);
    }
    return found;
}""".replace("COUNT", COUNT)

UPLOADS = """async ([root, texts, timeout]) => {
    const input = root.querySelector("[type=file]");
    const notice = root.querySelector("[role=alert]");
    const found = [];
    for (const text of texts) {
        const files = new DataTransfer();
        files.items.add(new File([`no picture ${found.length}`], text));
        input.files = files.files;
        input.dispatchEvent(new Event("change"));
        const until = performance.now() + timeout;
        while (notice.parentElement.hidden) {
            await new Promise(requestAnimationFrame);
            if (performance.now() > until) throw new Error(`no notice: ${found.length}`);
        }
        found.push(notice.textContent);
        root.querySelector("[aria-label='close the notice']").click();
    }
    return found;
}"""


def fits(hostile: dict[str, object], usual: dict[str, object], most: float = 1.1) -> None:
    """One explorer has the elements of the other, its width, and hardly more height."""
    assert hostile["tags"] == usual["tags"]
    assert set(hostile["drawn"]) <= {"g", "line", "path", "text", "circle", "rect", "polygon", "title"}
    assert hostile["width"] == usual["width"]
    assert hostile["beyond"] <= max(usual["beyond"], 0) + 1
    assert hostile["height"] <= most * usual["height"]


def test_in_jupyterlab(lab: Lab, page: Page, read: Callable[[str], object], figure: Figure) -> None:
    watch = Watch()
    watch.over(page)
    (lab.folder / "texts.json").write_text(json.dumps([TEXTS, HARMLESS, WIDEST]), "ascii")
    lab.write_notebook("hostile.ipynb", [SETUP, "usual", "explorer", TABLE])
    run_notebook(page, lab, "hostile.ipynb")
    usual, hostile = Screen(page, 0), Screen(page, 1)
    usual.idle()
    hostile.idle()
    roots = [screen.root.element_handle() for screen in (usual, hostile)]
    look = lambda: [root.evaluate(COUNT) for root in roots]  # noqa: E731

    # As labels: each class is chosen and drawn.
    (here, _), *_ = page.evaluate(CLASSES, [roots[0], 1, 20 * SECONDS])
    for (there, name), text in zip(page.evaluate(CLASSES, [roots[1], len(TEXTS), 20 * SECONDS]), TEXTS, strict=True):
        fits(there, here)
        assert name.startswith(plain(whole(text), 60) or "class ")

    # As names of baselines, on cards and in lists, and of panes.
    for kind in ("usual, HARMLESS", "explorer, TEXTS"):
        read(f"offer({kind})")
    for screen in (usual, hostile):
        screen.root.locator("summary", has_text="Baselines").click()
        expect(screen.root.locator(".igw-card")).to_have_count(len(TEXTS) + 9, timeout=60 * SECONDS)
    # A card has up to four lines of name and two of each class.
    fits(*reversed(look()), most=1.5)
    for screen in (usual, hostile):
        screen.root.locator("summary", has_text="Compare").click()
    for name in ("usual", "explorer"):
        read(f"compare({name})")
    for screen in (usual, hostile):
        expect(screen.root.locator(".igw-pane .igw-collected", has_text=" of ")).to_have_count(
            4,  # and that of the difference
            timeout=60 * SECONDS,
        )
        screen.idle()
    fits(*reversed(look()), most=1.5)
    read("(usual.compare(), explorer.compare())")
    for screen in (usual, hostile):
        for fold in ("Baselines", "Compare"):
            screen.root.locator("summary", has_text=fold).click()

    # As names of files.
    said = page.evaluate(UPLOADS, [roots[1], TEXTS, 20 * SECONDS])
    assert all("is no picture that can be read" in notice and len(notice) < 400 for notice in said)

    # As what the model raises.
    (before,) = look()[1:]
    read("setattr(explorer._subject.model, 'raises', True)")
    for there, message in page.evaluate(ERRORS, [roots[1], len(TEXTS), 20 * SECONDS]):
        assert there["tags"] == before["tags"]
        assert there["height"] <= before["height"] + 100
        assert len(message) < 1600

    # In the outputs of cells.
    tags = page.locator(".jp-OutputArea-output.jp-RenderedHTMLCommon").filter(has_text="attribution").evaluate(
        "one => [...new Set([...one.querySelectorAll('*')].map(({ tagName }) => tagName))]"
    )  # fmt: skip
    assert set(tags) == {"DIV", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"}

    ran, beyond = watch.ran(page) + len(watch.dialogs + watch.pages), watch.beyond(lab.url)
    figure(f"times that a hostile text ran in JupyterLab, of {len(TEXTS)}", ran, at_most=0)
    figure(f"addresses beyond JupyterLab's that were asked for, for {len(TEXTS)} hostile texts", len(beyond), at_most=0)
    assert ran == 0
    assert beyond == []
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")


# ---------------------------------------------------------------- the exported file

# What of each class stands in a page's own words; labels are in its lists, whatever the class.
OPENED = (
    *("end of a script", "svg onload", "iframe srcdoc", "style", "comment left open", "NUL", "override to the left"),
    *("right-to-left and numbers", "halves in the wrong order", "10 kB of emoji", "10 kB of marks", "blanks"),
)
# As the browser reads a page, without running it: every element, and what of it is an attribute.
PARSED = """texts => texts.map((text) =>
    [...new DOMParser().parseFromString(text, "text/html").querySelectorAll("*")]
        .map((one) => [one.tagName, ...one.getAttributeNames()].join(" ")))"""
# Where the class ends and the page's own words begin, at the end of the heading.
HEADING = """heading => {
    const text = heading.querySelector("bdi").firstChild;
    const at = text.data.lastIndexOf(" · Integrated Gradients");
    const right = (from, to) => {
        const range = document.createRange();
        range.setStart(text, from);
        range.setEnd(text, to);
        const box = [...range.getClientRects()].at(-1);
        return [box.bottom, box.right];
    };
    return [right(0, at), right(at, text.length)];
}"""


class Blank:
    """A drawing of nothing."""

    def png(self) -> bytes:
        return b""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """One for each text that is a class, and at the end one of harmless names; margins are over the widest name."""
    model = Classifier(classes=len(TEXTS), dtype=torch.float32)
    model.last.bias.data[WIDEST] += 100
    written = []
    for labels, classes in ((TEXTS, range(len(TEXTS))), (HARMLESS, [0])):
        explorer = igw.ImageExplorer(model, photo().float(), labels=labels, n_steps=1, output="margin")
        panel(explorer, ExportPanel).drawing = Blank  # which would take longest
        for index in classes:
            explorer.target = index
            explorer.wait()
            assert explorer._tasks.wait(SECONDS)  # curves are in the file
            written.append(tmp_path / f"{len(written)}.html")
            explorer.to_html(written[-1])
        explorer.close()
    return written


@pytest.fixture
def offline(browser: Browser) -> Iterator[tuple[Page, Watch]]:
    """A page that reaches nothing but files."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 1000})
    page, watch = context.new_page(), Watch()
    watch.over(page)
    yield page, watch
    context.close()


def test_in_an_exported_file(files: list[Path], offline: tuple[Page, Watch], figure: Figure) -> None:
    page, watch = offline
    ran, errors = 0, list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    parsed = page.evaluate(PARSED, [file.read_text("utf-8") for file in files])

    def open_file(file: Path) -> dict[str, object]:
        nonlocal ran
        page.goto(file.as_uri())
        Screen(page).idle()
        ran += watch.ran(page)
        return page.locator(".igw").evaluate(COUNT)

    usual = open_file(files[-1])
    options = usual["tags"].pop("OPTION")
    try:
        for name in OPENED:
            there = open_file(files[list(CORPUS).index(name)])
            # A class is listed among the likeliest, or by itself.
            assert abs(there["tags"].pop("OPTION") - options) <= 1
            fits(there, usual)
            # Whatever the class is, what follows it stands behind or below.
            (bottom, right), (own_bottom, own_right) = page.locator("h1").evaluate(HEADING)
            assert (own_bottom, own_right) > (bottom, right)
            assert page.locator("h1").bounding_box()["height"] < 120
    finally:
        ran, beyond = ran + len(watch.dialogs + watch.pages), watch.beyond("file:")
        figure(f"times that a hostile text ran in an exported file, of {len(TEXTS)}", ran, at_most=0)
        figure(f"addresses that exported files asked for, for {len(TEXTS)} hostile texts", len(beyond), at_most=0)
    assert ran == 0
    assert [number for number, found in enumerate(parsed) if found != parsed[-1]] == []
    assert errors == beyond == []


INTRUDERS = """
<script>window.hacked = 1</script>
<script src="data:text/javascript,window.hacked=1"></script>
<script src="http://192.0.2.1/a.js"></script>
<img src="data:image/png;base64,x" onerror="window.hacked = 1">
<img src="http://192.0.2.1/a.png"><link rel="stylesheet" href="http://192.0.2.1/a.css">
<style>h1 { color: rgb(1, 2, 3) }</style><p id="styled" style="color: rgb(1, 2, 3)">x</p>
<iframe srcdoc="<script>parent.hacked = 1</script>"></iframe><object data="http://192.0.2.1/a.swf"></object>
<base href="http://192.0.2.1/">
"""
LISTEN = """window.stopped = [];
document.addEventListener("securitypolicyviolation", (event) => window.stopped.push(event.effectiveDirective));"""


def test_what_got_into_an_exported_file_would_not_run(
    files: list[Path], offline: tuple[Page, Watch], figure: Figure
) -> None:
    page, watch = offline
    page.add_init_script(LISTEN)
    file = files[-1]
    file.write_text(file.read_text("utf-8").replace("<main ", f"{INTRUDERS}<main "), "utf-8")
    page.goto(file.as_uri())
    Screen(page).idle()  # what belongs there works
    page.evaluate("setTimeout('window.hacked = 1')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 1'}))")
    page.evaluate("() => fetch('http://192.0.2.1/').catch(() => new Promise((done) => setTimeout(done)))")
    ran = watch.ran(page)
    figure("times that a script put into an exported file ran, of 7", ran, at_most=0)
    assert ran == 0
    page.wait_for_function("stopped.includes('connect-src')")
    stopped = page.evaluate("stopped")
    stoppers = {f"{kind}-src-{where}" for kind in ("script", "style") for where in ("elem", "attr")}
    assert {*stoppers, "img-src", "connect-src", "base-uri", "object-src"} <= {*stopped}
    assert stopped.count("script-src-elem") >= 4
    assert page.locator("#styled").evaluate("one => getComputedStyle(one).color") != "rgb(1, 2, 3)"
    assert page.locator("h1").evaluate("one => getComputedStyle(one).color") != "rgb(1, 2, 3)"
    # The browser tells of what it was asked for; none of it left.
    assert sorted(f"csp: {url}" for url in watch.beyond("file:")) == sorted(
        one for one in watch.stopped if "http" in one
    )
    assert len(watch.beyond("file:")) >= 3
