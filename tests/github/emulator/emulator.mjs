// Starts emulate's GitHub: emulator.mjs FOLDER, where `npm ci` was run in FOLDER.
//
// The first line of standard input is JSON: `baseUrl`, the address that its answers name, and `seed`. One line of JSON goes to standard
// output: `port`, and `keys`, the private keys of the apps in the seed by their numbers. It ends when standard input does, so it never
// outlives its parent.

import { Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { createEmulator } = await import(pathToFileURL(join(process.argv[2], "node_modules/emulate/dist/api.js")));

// emulate listens on every address of this machine, and cannot say which port it got: it is given loopback, and the port is asked here.
const listening = new Promise((resolve, reject) => {
  const { listen } = Server.prototype;
  Server.prototype.listen = function () {
    // Node's servers close a connection that was quiet for five seconds, perhaps while a request is on its way
    this.keepAliveTimeout = 0;
    this.once("listening", () => resolve(this.address().port)).once("error", reject);
    return listen.call(this, 0, "127.0.0.1");
  };
});

const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
  const { baseUrl, seed } = JSON.parse(line);
  const { generatedSecrets } = await createEmulator({ service: "github", baseUrl, seed });
  const keys = Object.fromEntries(generatedSecrets.map(({ id, value }) => [id, value]));
  console.log(JSON.stringify({ port: await listening, keys }));
});
lines.once("close", () => process.exit());
