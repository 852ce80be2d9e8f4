"""Texts that a stranger may have given: as labels, names of functions and files, in errors. None may run or break."""

from __future__ import annotations

RUN = "window.hacked=1"

_MARKUP = {
    "script": f"<script>{RUN}</script>",
    "script, other case": f"<ScRiPt>{RUN}</sCrIpT >",
    "end of a script": f"</script><script>{RUN}</script>",
    "end of a style": f"</style><script>{RUN}</script>",
    "end of a title": f"</title><script>{RUN}</script>",
    "end of a textarea": f"</textarea></noscript></template><script>{RUN}</script>",
    "end of a select": f"</option></select><img src=x onerror={RUN}>",
    "comment left open": "<!-- <script>",
    "comment ended": f"--><script>{RUN}</script><!--",
    "img onerror": f'<img src=x onerror="{RUN}">',
    "img without spaces": f"<img/src=x/onerror={RUN}>",
    "img of the network": "<img src=http://192.0.2.1/track.png><img srcset=//192.0.2.1/t.png>",
    "svg onload": f"<svg onload={RUN}><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    "svg script": f"<svg><script>{RUN}</script><foreignObject><b>x</b></foreignObject></svg>",
    "math": f'<math><mtext><mglyph><style><img src=x onerror="{RUN}"></style></mglyph></mtext></math>',
    "details ontoggle": f"<details open ontoggle={RUN}>x</details>",
    "input onfocus": f"<input autofocus onfocus={RUN}><video><source onerror={RUN}></video>",
    "iframe srcdoc": f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    "object and embed": f"<object data=javascript:{RUN}></object><embed src=javascript:{RUN}>",
    "style": "<style>*{display:none!important}</style>",
    "style of the network": "<link rel=stylesheet href=//192.0.2.1/a.css><style>@import '//192.0.2.1/b.css'</style>",
    "base": '<base href="http://192.0.2.1/">',
    "meta refresh": f'<meta http-equiv=refresh content="0;url=javascript:{RUN}">',
    "link": f'<a href="javascript:{RUN}">click</a>',
    "form": f"<form action=javascript:{RUN}><button autofocus>go</button></form>",
    "javascript address": f"javascript:{RUN}//",
    "data address": f"data:text/html,<script>parent.{RUN}</script>",
    "double quote": f'"><img src=x onerror="{RUN}">',
    "single quote": f"'><img src=x onerror='{RUN}'>",
    "attribute": f'" autofocus tabindex=0 onfocus="{RUN}" x="',
    "template literal": f"${{{RUN}}}`;{RUN};`",
    "end of a string": f"\";{RUN};//';{RUN};//\\",
    "CDATA": f"<![CDATA[<script>{RUN}</script>]]>",
    "end of CDATA": f"]]><script>{RUN}</script>",
    "processing instruction": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;',
    "entities": f"&lt;script&gt;{RUN}&lt;/script&gt;&#60;img src=x onerror={RUN}&#62;&amp;amp;",
    "encoded twice": "%253Cscript%253Ewindow.hacked%253D1%253C%252Fscript%253E &amp;lt;script&amp;gt;",
    "UTF-7": "+ADw-script+AD4-window.hacked=1+ADw-/script+AD4-",
    "Markdown": f"[x](javascript:{RUN}) ![x](http://192.0.2.1/t.png) <b>bold</b> `code`",
    "Jinja and Vue": f"{{{{constructor.constructor('{RUN}')()}}}} {{% raw %}}",
}
_JSON = {
    "end of JSON": f'"}}]}};{RUN};//',
    "backslashes": '\\"\\\\\\u0022\\',
    "line separators": f"a\u2028{RUN}\u2029b",
    "no number": "NaN",
    "null": "null",
    "prototype": "__proto__",
    "constructor": "constructor",
    "toString": "toString",
}
_CONTROLS = {
    "NUL": "a\0b",
    "C0": "".join(map(chr, range(1, 32))) + "x",
    "C1 and DEL": "x" + "".join(map(chr, range(0x7F, 0xA0))),
    "ANSI": "\x1b[2J\x1b[31mred\x1b[0m\x9b31m\a",
    "terminal title": "\x1b]0;owned\a\x1b]52;c;b3duZWQ=\a",
    "terminal link": f"\x1b]8;;javascript:{RUN}\x1b\\click\x1b]8;;\x1b\\",
    "carriage return": "good\rbad\b\b\bworse",
    "log line": "x\n2030-01-01 CRITICAL all is lost",
}
_BIDI = {
    "override to the left": "cat\u202egnp.exe",
    "all overrides": "\u202a\u202b\u202d\u202eabc",
    "all isolates": "\u2066\u2067\u2068abc",
    "ends of bidi": "\u202c\u202c\u2069\u2069abc",
    "marks of direction": "\u200e\u200f\u061cabc\u200f",
    "right-to-left words": "\u05d7\u05ea\u05d5\u05dc \u0642\u0637\u0629",
    "right-to-left and numbers": "\u0642\u0637\u0629 (12.5%) 7",
}
_UNICODE = {
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg",
    "first half of a pair": "a\ud83d",
    "second half of a pair": "\ude00b",
    "halves in the wrong order": "\ude00\ud83d",
    "no characters": "\ufffe\uffff\ufdd0\U0010ffff\ue000",
    "tags": "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd\u2764\ufe0f",
    "other spaces": "\u00a0\u1680\u2003\u3000x\u0085y",
}
_LONG = {
    "10 kB without a space": "x" * 10_000,
    "10 kB of words": "long " * 2000,
    "10 kB of marks": "a" + "\u0301\u0489" * 2500,
    "10 kB of lines": "line\n" * 2000,
    "10 kB of emoji": "\U0001f408" * 2500,
    "10 kB of markup": "<b>" * 3334,
    "300 characters": "a" * 296 + ".png",
}
_FORMATS = {
    "mathtext": "$x^2$",
    "broken mathtext": r"$\frac{",
    "dollar": r"\$ $ 5$",
    "MathJax": rf"$\href{{javascript:{RUN}}}{{click}}$ \(\require{{html}}\style{{position:fixed}}{{x}}\)",
    "LaTeX": r"\input{/etc/passwd} \write18{id} % & _ ^ #",
    "braces": "{0} {} {self.__class__.__init__.__globals__}",
    "percent": "%s %d %(name)s %n %",
    "shell": "$(touch hacked); `touch hacked` | touch hacked && rm *",
}
_FILES = {
    "folders above": "../../../../x.png",
    "Windows folders": r"C:\..\x.png",
    "device": "con",
    "end of a name": "x\0.png",
    "network folder": r"\\192.0.2.1\share\x.png",
    "option": "-rf --help",
    "dots": "..",
}
_SHEETS = {
    "formula": "=cmd|' /C calc'!A0",
    "other formulas": '+1+1 @SUM(1) -2 =HYPERLINK("http://192.0.2.1")',
}
_NOTHING = {"empty": "", "blanks": "  \t ", "brackets": "()"}

CORPUS: dict[str, str] = {
    **_MARKUP,
    **_JSON,
    **_CONTROLS,
    **_BIDI,
    **_UNICODE,
    **_LONG,
    **_FORMATS,
    **_FILES,
    **_SHEETS,
    **_NOTHING,
}
TEXTS = tuple(CORPUS.values())
HARMLESS = tuple(f"tench {i}" for i in range(len(TEXTS)))
