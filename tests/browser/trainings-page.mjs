// The part of the page that shows trainings, for the tests that look at it.

import { PATIENCE, settled } from "./browser.mjs";

/** The card of a trial. */
export const card = (page, name) => page.locator(`[data-testid="trial-card"][data-trial="${name}"]`);

/** Opens a part of the page anew, and waits until it has all its parts. */
export async function open(page, query, part) {
  await page.goto(`${new URL(page.url()).origin}/${query}`);
  await part.waitFor();
  await page.getByTestId("stSkeleton").first().waitFor({ state: "detached" });
  await settled(page);
}

/** Waits until `read` gives something else than it does now. */
export async function changes(page, locator, read, what) {
  const element = await locator.elementHandle();
  const before = await element.evaluate(read);
  await page.waitForFunction(([one, reader, old]) => new Function(`return (${reader})`)()(one) !== old, [element, read.toString(), before], { timeout: PATIENCE })
    .catch(() => { throw new Error(`${what} stays ${JSON.stringify(before)}`); });
}
