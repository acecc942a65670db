"""The inspector of `annals serve` in a real browser: headless Chromium, driven through chromedriver.

    python3 browser.py PATH-OF-THE-COMMAND-ANNALS

Says that it is skipped, and succeeds, where Chromium or chromedriver is not there (Debian: `apt-get install chromium
chromium-driver`). The environment variable SCREENSHOTS names a directory for screenshots of every page.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

from webdriver import Browser, free_port, wait_for

ANNALS = sys.argv[1] if len(sys.argv) > 1 else "annals"
TAB, ENTER, RIGHT = "\ue004", "\ue007", "\ue014"
PAGES = {
    "overview": "/ui",
    "events": "/ui/events",
    "filtered": "/ui/events?type=seat-sold&tag=seat%3A1&or=&tag=seat%3A2&from=3",
    "search": "/ui/events?text=ann",
    "live": "/ui/events?live=1",
    "event": "/ui/events/0",
    "tags": "/ui/tags",
    "tag": "/ui/tag?name=seat%3A1",
    "state": "/ui/state?view=merge&of=seat%3A1&step=3",
    "counts": "/ui/state?view=counts",
    "consumers": "/ui/consumers",
    "verify": "/ui/verify",
    "refused": "/ui/events?from=x",
    "sign-in": "/ui/login",
}


class Server:
    """`annals serve` on a free port."""

    def __init__(self, directory, name, *options):
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.log = open(f"{directory}/{name}.log", "wb")
        command = [ANNALS, "--quiet", "serve", f"{directory}/{name}.store", "--listen", address, *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        wait_for("the server", self.is_up)

    def is_up(self):
        assert self.process.poll() is None, "the server ended"
        try:
            return urllib.request.urlopen(f"{self.url}/health/ready").status == 200
        except OSError:
            return False

    def append(self, *events):
        body = json.dumps({"events": events}).encode()
        request = urllib.request.Request(f"{self.url}/v1/events", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).read()

    def get(self, path):
        return urllib.request.urlopen(self.url + path).read().decode()

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Inspector(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.browser = Browser(cls.directory.name)
        cls.full = Server(cls.directory.name, "full")
        sold = [
            {
                "type": "seat-sold",
                "tags": [f"seat:{n % 3}", "show:7"],
                "id": f"sale-{n}",
                "data": {"n": n, "buyer": {"name": "Ann"}},
            }
            for n in range(60)
        ]
        cls.full.append(*sold)
        cls.empty = Server(cls.directory.name, "empty")

    @classmethod
    def tearDownClass(cls):
        for end in (cls.browser.end, cls.full.end, cls.empty.end, cls.directory.cleanup):
            end()

    def setUp(self):
        self.browser.window(1200)
        self.browser.problems()

    def shows(self, words, css="body"):
        wait_for(words, lambda: words in self.browser.text(css))

    def test_every_page_fits_in_light_and_dark(self):
        shots = os.environ.get("SCREENSHOTS")
        for kind, server in (("full", self.full), ("empty", self.empty)):
            for name, path in PAGES.items():
                for width in (400, 1600):
                    for dark in (False, True):
                        self.browser.window(width, 900, dark)
                        self.browser.open(server.url + path)
                        self.assertTrue(self.browser.text("h1"), path)
                        needed = self.browser.script("return document.documentElement.scrollWidth")
                        self.assertLessEqual(needed, width, f"{kind} {path} is too wide")
                        if shots:
                            file = f"{shots}/{kind}-{name}-{width}{'-dark' if dark else ''}.png"
                            self.browser.screenshot(file, whole=True)
        # The browser logs the status of pages that are refused on purpose, and nothing else.
        others = [problem for problem in self.browser.problems() if "status of 4" not in problem]
        self.assertEqual(others, [])

    def test_the_tail_shows_an_append_and_can_be_paused(self):
        self.browser.open(f"{self.full.url}/ui/events?tag=tail&live=1")
        self.shows("No event matches yet")
        self.full.append({"type": "tailed", "tags": ["tail"]}, {"type": "other"})
        self.shows("tailed")
        self.assertNotIn("other", self.browser.text("table.events"))
        self.browser.click("main .bar a.button")
        self.shows("1 event")
        self.assertEqual(self.browser.problems(), [])

    def test_the_overview_is_live(self):
        self.browser.open(f"{self.empty.url}/ui")
        self.shows("The log is empty")
        server = Server(self.directory.name, "live")
        try:
            self.browser.open(f"{server.url}/ui")
            server.append(*({"type": "a"} for _ in range(7)))
            self.shows("Head\n7", ".live-panel")
        finally:
            server.end()

    def test_the_slider_moves_through_states(self):
        self.browser.open(f"{self.full.url}/ui/state?view=merge&of=seat%3A1&step=3")
        self.shows("event 3 of 20")
        self.browser.script("document.getElementById('step').focus()")
        self.browser.keys(RIGHT, RIGHT)
        self.shows("event 5 of 20", "#result")
        wait_for("the URL", lambda: "at=13" in self.browser.url())
        state = json.loads(self.full.get("/ui/state/json?view=merge&of=seat%3A1&at=13"))
        self.assertEqual(state, {"n": 13, "buyer": {"name": "Ann"}})
        self.assertIn("/n", self.browser.text("table.changes"))
        self.browser.open(self.browser.url())
        self.shows("event 5 of 20")
        self.browser.open(f"{self.full.url}/ui/state?view=merge&of=seat%3A1&step=18&play=1")
        self.shows("event 20 of 20")
        self.assertEqual(self.browser.problems(), [])

    def test_hostile_events_do_nothing(self):
        evil = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>\u202e"
        self.full.append(
            {"type": evil, "tags": [evil], "id": evil, "data": {evil: evil}, "metadata": {"a": evil}},
            {"type": "large", "tags": ["evil"], "data": evil + "<" * (15 << 20)},
            {"type": "bytes", "tags": ["evil"], "data_base64": "//48c2NyaXB0Pg=="},
        )
        tag = urllib.parse.quote(evil)
        head = json.loads(self.full.get("/v1/head"))["head"]
        paths = ["/ui", "/ui/events", "/ui/tags", f"/ui/tag?name={tag}", f"/ui/events?tag={tag}&live=1"]
        paths += [f"/ui/events/{head - n}{form}" for n in (1, 2, 3) for form in ("", "?show=text", "?show=hex")]
        paths += [f"/ui/state?view=merge&of={tag}", f"/ui/events?from={tag}"]
        for path in paths:
            self.browser.open(self.full.url + path)
            self.assertTrue(self.browser.text("h1"), path)
            self.assertIsNone(self.browser.script("return window.hacked ?? null"), path)
            intruders = "return document.querySelectorAll('main img, main script').length"
            self.assertEqual(self.browser.script(intruders), 0, path)
        others = [problem for problem in self.browser.problems() if "status of 4" not in problem]
        self.assertEqual(others, [])

    def test_the_writing_direction_of_a_name_changes_no_other_text(self):
        name = "\u0645\u0631\u062d\u200d\u202e"
        self.full.append({"type": name, "tags": [name]})
        tag = urllib.parse.quote(name)
        for path in ("/ui/tags", f"/ui/tag?name={tag}", f"/ui/events?tag={tag}", f"/ui/state?view=merge&of={tag}"):
            self.browser.open(self.full.url + path)
            # What is written out reads from left to right, also within a name that reads from right to left.
            script = "return [...document.querySelectorAll('.esc')].map(e => [e.innerText, getComputedStyle(e).direction])"
            written = self.browser.script(script)
            self.assertIn(["\\u{202e}", "ltr"], written, path)
            self.assertEqual({direction for _, direction in written}, {"ltr"}, path)
        # The field of a name shows the name as it is, so its label says what the name has.
        self.browser.open(f"{self.full.url}/ui/events?tag={tag}")
        self.assertIn("\\u{202e}", self.browser.text("form.builder fieldset"))

    def test_types_over_time_have_a_colour_each(self):
        server = Server(self.directory.name, "types")
        try:
            for name, count in (("sold", 7), ("<b>sold</b>", 3), ("sold", 5)):
                server.append(*({"type": name, "tags": ["a"]} for _ in range(count)))
            self.browser.open(f"{server.url}/ui/tag?name=a")
            self.shows("Types by time")
            legend = self.browser.script("return [...document.querySelectorAll('.legend li')].map(li => li.innerText)")
            self.assertEqual([" ".join(line.split()) for line in legend], ["sold 12", "<b>sold</b> 3"])
            # Every event is in one bar, and the bars of the two types differ in colour.
            bars = self.browser.script(
                "return [...document.querySelectorAll('rect[class]')]"
                ".map(bar => [bar.textContent, getComputedStyle(bar).fill])"
            )
            names = ("sold", "<b>sold</b>")
            colours = {name: {fill for title, fill in bars if f": {name}," in title} for name in names}
            self.assertEqual([len(fills) for fills in colours.values()], [1, 1], bars)
            self.assertNotEqual(*colours.values())
            self.assertEqual(sum(int(title.rsplit(", ", 1)[1]) for title, _ in bars), 15, bars)
            self.assertEqual(self.browser.problems(), [])
        finally:
            server.end()

    def test_long_names_and_bytes_stay_readable_in_a_narrow_window(self):
        server = Server(self.directory.name, "long")
        try:
            server.append({"type": "t" * 255, "tags": ["g" * 255], "data_base64": "/w" * 60})
            group = urllib.request.Request(
                f"{server.url}/v1/groups/{'g' * 100}", b"{}", {"Content-Type": "application/json"}, method="PUT"
            )
            urllib.request.urlopen(group).read()
            self.browser.window(400)
            for path in ("/ui/consumers", "/ui/events", "/ui/events/0?show=hex", f"/ui/tag?name={'g' * 255}"):
                self.browser.open(server.url + path)
                self.assertLessEqual(self.browser.script("return document.documentElement.scrollWidth"), 400, path)
                if path == "/ui/consumers":
                    kind = self.browser.script("return document.querySelector('td.word').getClientRects()[0].width")
                    self.assertGreater(kind, 30)
                # The heads of columns have two lines at most: none is broken within a word.
                heads = "return [...document.querySelectorAll('thead th')].map(th => [th.innerText, th.scrollHeight])"
                for text, height in self.browser.script(heads):
                    self.assertLess(height, 60, text)
            self.browser.open(f"{server.url}/ui/events/0?show=hex")
            lines = "const pre = document.querySelector('pre.hex');" \
                "return [pre.innerText.trimEnd().split('\\n').length, pre.clientHeight," \
                "parseFloat(getComputedStyle(pre).fontSize)]"
            count, height, size = self.browser.script(lines)
            # Lines that are not broken are at most twice as high as their letters.
            self.assertLess(height, (count + 2) * 2 * size)
        finally:
            server.end()

    def test_the_keyboard_is_enough(self):
        self.browser.open(f"{self.full.url}/ui")
        self.browser.keys(TAB, ENTER)
        self.assertEqual(self.browser.script("return document.activeElement.id"), "main")
        self.browser.open(f"{self.full.url}/ui")
        # The link to the content, the name, the overview, and then the events.
        self.browser.keys(TAB, TAB, TAB, TAB, ENTER)
        wait_for("the events", lambda: self.browser.url().endswith("/ui/events"))
        for _ in range(40):
            if self.browser.script("return document.activeElement.name === 'tag'"):
                break
            self.browser.keys(TAB)
        self.browser.keys(*"seat:1", ENTER)
        wait_for("the query", lambda: "tag=seat%3A1" in self.browser.url())
        self.shows("20 events")
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        self.browser.keys(TAB, TAB, TAB)
        self.assertEqual(self.browser.script(outline), "solid")

    def test_names_are_completed(self):
        self.browser.open(f"{self.full.url}/ui/events")
        self.browser.type("input[name=tag]", "sh")
        wait_for("completion", lambda: self.browser.find_all("#tags option[value='show:7']"))

    def test_a_browser_signs_in_and_out(self):
        hashed = hashlib.sha256(b"secret").hexdigest()
        tokens = f"{self.directory.name}/tokens"
        with open(tokens, "w") as file:
            file.write(f"ann {hashed} read,admin\n")
        server = Server(self.directory.name, "closed", "--tokens", tokens)
        try:
            self.browser.open(f"{server.url}/ui/tags")
            self.browser.type("input[name=token]", "wrong" + ENTER)
            self.shows("does not know this token")
            self.browser.type("input[name=token]", "secret" + ENTER)
            self.shows("No tags")
            self.browser.open(f"{server.url}/ui/verify")
            self.browser.click("main button")
            self.shows("No damage")
            self.browser.click("header button")
            self.shows("wants a token")
        finally:
            server.end()

    def test_the_pages_work_without_scripts(self):
        self.browser.scripts(on=False)
        try:
            self.browser.open(f"{self.full.url}/ui/events?tag=seat%3A1")
            self.shows("20 events")
            self.browser.click("table.events a")
            self.shows("Neighbours by tag")
            self.browser.open(f"{self.full.url}/ui/state?view=merge&of=seat%3A1&step=3")
            self.browser.click("a[rel=next]")
            self.shows("event 4 of 20")
        finally:
            self.browser.scripts(on=True)


if __name__ == "__main__":
    if not Browser.is_there():
        print("skipped: the inspector in a browser, without chromium and chromedriver")
        sys.exit(0)
    unittest.main(argv=sys.argv[:1], verbosity=2)
