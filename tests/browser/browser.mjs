// Starts Debian's Chromium, or the one that CHROMIUM names, and opens the page in it.

import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { chromium } from "playwright-core";

export const PATIENCE = 30_000; // milliseconds for any one condition; each is waited for, none is slept through
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

function browserPath() {
  const known = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];
  const found = known.find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium found: install it (apt-get install chromium) or set CHROMIUM to its path");
  return found;
}

/** Opens `url`, runs `test` on the page, and fails if it does or if a script of the page failed. Says what the page shows then. */
export async function withPage(url, viewport, test) {
  const browser = await chromium.launch({ executablePath: browserPath(), headless: true, args: FLAGS });
  try {
    const page = await browser.newPage({ viewport });
    page.setDefaultTimeout(PATIENCE);
    const broken = [];
    page.on("pageerror", (error) => broken.push(error.message));
    // leaving a page ends requests, so these alone are no fault
    const lost = [];
    page.on("requestfailed", (request) => lost.push(`${request.url()}: ${request.failure().errorText}`));
    await page.goto(url);
    const failure = await test(page).catch(reason);
    if (failure) throw new Error([failure, ...broken, ...lost, `the page shows: ${await page.locator("body").innerText()}`].join("\n"));
    if (broken.length) throw new Error(`errors in the page: ${broken.join("; ")}`);
  } finally {
    await browser.close();
  }
}

/** Why it failed. What Playwright waited for is only in its log, among its own steps. */
function reason(error) {
  const [said, log = ""] = error.message.split("\nCall log:");
  const waited = /waiting for .*/.exec(stripVTControlCharacters(log));
  return waited ? `${said} ${waited}` : said;
}

/** Waits until Streamlit has shown everything. */
export async function settled(page) {
  await page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').waitFor();
}

/** Ends the process with 1 and the reason if `main` fails. */
export function run(main) {
  main().catch((error) => {
    console.error(`browser test: ${reason(error)}`);
    process.exitCode = 1;
  });
}
