// Draws a report as GitHub shows it, for the pictures of docs/.
//
//   slipway report 7 --dry-run | node markdown.mjs PICTURE.png [PARTS]
//
// Every fold whose title begins with one of PARTS, separated by commas, is open; a chart is drawn as GitHub draws it. Nothing is fetched:
// fonts, styles and Mermaid are those of package-lock.json.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { marked } from "marked";
import { chromium } from "playwright-core";

const WIDTH = 900; // CSS pixels, about the width of a comment and of a document on GitHub
const SCALE = 1.4; // sharper than the screen, and still a small file
const file = (path) => pathToFileURL(createRequire(import.meta.url).resolve(path)).href;

function browserPath() {
  const known = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];
  const found = known.find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium found: install it (apt-get install chromium) or set CHROMIUM to its path");
  return found;
}

// The marks of a legend, which few machines have a font for.
const SQUARES = { "🟦": "#0969da", "🟧": "#bc4c00", "🟩": "#1a7f37", "🟥": "#cf222e", "🟪": "#8250df" };
const square = (mark) => `<i class="square" style="background: ${SQUARES[mark]}"></i>`;
const STYLES = ["github-markdown-css/github-markdown-light.css"].concat(
  ["noto-sans/400", "noto-sans/600", "noto-sans-mono/400", "noto-sans-mono/600"].map((font) => `@fontsource/${font}.css`),
);
const html = (markdown) => `<!doctype html>
<meta charset="utf-8">
${STYLES.map((style) => `<link rel="stylesheet" href="${file(style)}">`).join("\n")}
<style>
  body { margin: 0; padding: 16px; background: #fff; }
  .box { border: 1px solid #d1d9e0; border-radius: 6px; }
  .author { padding: 8px 16px; border-bottom: 1px solid #d1d9e0; background: #f6f8fa; font: 14px "Noto Sans"; color: #59636e; border-radius: 6px 6px 0 0; }
  .author b { color: #1f2328; font-weight: 600; }
  .markdown-body { padding: 16px; font-size: 14px; font-family: "Noto Sans"; }
  .markdown-body :is(code, pre) { font-family: "Noto Sans Mono"; }
  .square { display: inline-block; width: 12px; height: 12px; border-radius: 2px; }
  .markdown-body .mermaid { padding: 0; background: none; text-align: center; }
  .markdown-body .mermaid svg { max-width: 480px !important; }
</style>
<div class="box"><div class="author"><b>github-actions</b> commented</div><article class="markdown-body">${marked.parse(markdown.replace(/🟦|🟧|🟩|🟥|🟪/gu, square))}</article></div>
<script src="${file("mermaid/dist/mermaid.min.js")}"></script>`;

/** Opens what is asked for, and draws the charts that can be seen. */
async function prepare(parts) {
  for (const fold of document.querySelectorAll("details")) {
    const title = fold.querySelector("summary").textContent;
    fold.open = parts.some((part) => title.startsWith(part));
  }
  mermaid.initialize({ startOnLoad: false, theme: "default", fontFamily: "Noto Sans" });
  const charts = [...document.querySelectorAll("code.language-mermaid")];
  for (const [index, chart] of charts.entries()) {
    const { svg } = await mermaid.render(`chart${index}`, chart.textContent);
    chart.parentElement.outerHTML = `<div class="mermaid">${svg}</div>`;
  }
  // a font is only fetched for what is drawn with it
  await Promise.all([...document.fonts].filter((font) => font.status === "loading").map((font) => font.loaded));
}

const [picture, parts] = process.argv.slice(2);
if (!picture) {
  console.error("usage: slipway report 7 --dry-run | node markdown.mjs PICTURE.png [PARTS]");
  process.exit(2);
}
const browser = await chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"] });
try {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 600 }, deviceScaleFactor: SCALE });
  // a page of this folder may read files of it; one without an address may not
  await page.goto(file("./package.json"));
  await page.setContent(html(readFileSync(0, "utf8")), { waitUntil: "load" });
  await page.evaluate(prepare, parts ? parts.split(",") : []);
  await page.screenshot({ path: picture, fullPage: true });
} finally {
  await browser.close();
}
