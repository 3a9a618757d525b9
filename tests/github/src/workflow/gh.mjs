// What `gh` does on a runner, for the commands that the workflows use, with the emulated GitHub. Any other command or option fails.
//
// It has the token of its step and no other, so that the API judges what a job may do. Where the real one asks by GraphQL, this one asks by
// REST for the same. What it prints is less.

import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";

const { DISPATCHED, GH_REPO, GH_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_SERVER_URL } = process.env;

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The answer of the API about a path below the repository. A body that is not JSON is sent as it is. */
async function ask(method, path, body) {
  const headers = { accept: "application/vnd.github+json", authorization: `Bearer ${GH_TOKEN}` };
  const sent = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const answer = await fetch(`${GITHUB_API_URL}/repos/${GITHUB_REPOSITORY}${path}`, { method, headers, body: sent });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, `HTTP ${answer.status}: ${method} ${path}: ${text}`);
  return text && JSON.parse(text);
}

/** All items of a list, or the first `limit`. */
async function list(path, limit = Infinity) {
  const items = [];
  for (let page = 1; ; page++) {
    const more = await ask("GET", `${path}${path.includes("?") ? "&" : "?"}per_page=100&page=${page}`);
    items.push(...more);
    if (more.length < 100 || items.length >= limit) return items.slice(0, limit);
  }
}

const setUpGit = {
  run() {
    const helper = '!f() { echo username=x-access-token; echo "password=$GH_TOKEN"; }; f';
    execFileSync("git", ["config", "--global", `credential.${GITHUB_SERVER_URL}.helper`, helper]);
  },
};

/** The workflow is not started: who runs this one sees what was asked for. */
const runWorkflow = {
  options: { ref: { type: "string" }, "raw-field": { type: "string", multiple: true } },
  run(_, __, given) {
    appendFileSync(DISPATCHED, `${given.join(" ")}\n`);
  },
};

/** The fields of `gh pr list --json`. */
const fields = {
  changedFiles: async (pull) => (await ask("GET", `/pulls/${pull.number}`)).changed_files,
  // as GitHub does it: the first hundred
  files: async (pull) => (await ask("GET", `/pulls/${pull.number}/files?per_page=100`)).map((file) => ({ path: file.filename })),
  headRefName: (pull) => pull.head.ref,
  headRefOid: (pull) => pull.head.sha,
  headRepositoryOwner: (pull) => ({ login: pull.head.user.login }),
  isCrossRepository: (pull) => pull.head.repo.full_name !== pull.base.repo.full_name,
  number: (pull) => pull.number,
};

const listPulls = {
  options: {
    base: { type: "string" },
    head: { type: "string" },
    jq: { type: "string" },
    json: { type: "string" },
    limit: { type: "string", default: "30" },
  },
  async run(_, { base, head, jq, json, limit }) {
    const open = await list(`/pulls?state=open${base ? `&base=${encodeURIComponent(base)}` : ""}`);
    // a branch of that name, in whichever repository
    const found = open.filter((pull) => !head || pull.head.ref === head).slice(0, Number(limit));
    const described = [];
    for (const pull of found) {
      const one = {};
      for (const field of json.split(",")) one[field] = await fields[field](pull);
      described.push(one);
    }
    process.stdout.write(execFileSync("jq", ["--raw-output", jq], { input: JSON.stringify(described) }));
  },
};

const createPull = {
  options: { body: { type: "string" }, head: { type: "string" }, title: { type: "string" } },
  async run(_, { body, head, title }) {
    const { default_branch: base } = await ask("GET", "");
    console.log((await ask("POST", "/pulls", { base, body, head, title })).html_url);
  },
};

/** The release of a tag. A draft is not found by its tag. */
async function release(tag) {
  try {
    return await ask("GET", `/releases/tags/${tag}`);
  } catch (error) {
    const draft = error.status === 404 && (await list("/releases")).find((one) => one.draft && one.tag_name === tag);
    if (!draft) throw error.status === 404 ? new Refused(404, "release not found") : error;
    return draft;
  }
}

/** Uploads files, each in place of one of the same name if that is to be clobbered. */
async function upload({ id, assets }, files, clobber) {
  for (const file of files) {
    const name = basename(file);
    const there = assets.find((asset) => asset.name === name);
    if (there && clobber) await ask("DELETE", `/releases/assets/${there.id}`);
    await ask("POST", `/releases/${id}/assets?name=${encodeURIComponent(name)}`, readFileSync(file));
  }
}

const viewRelease = {
  async run([tag]) {
    const { assets, draft, tag_name } = await release(tag);
    console.log(tag_name, draft ? "draft" : "published", ...assets.map((asset) => asset.name));
  },
};

const uploadToRelease = {
  options: { clobber: { type: "boolean" } },
  async run([tag, ...files], { clobber }) {
    await upload(await release(tag), files, clobber);
  },
};

const editRelease = {
  options: { draft: { type: "string" } },
  async run([tag], { draft }) {
    const { id, tag_name } = await release(tag);
    await ask("PATCH", `/releases/${id}`, { draft: draft === "true", tag_name });
  },
};

/** With files it is a draft until all of them are there. */
const createRelease = {
  options: { "generate-notes": { type: "boolean" }, "verify-tag": { type: "boolean" } },
  async run([tag_name, ...files], { "generate-notes": generate_release_notes, "verify-tag": verify }) {
    if (verify) await ask("GET", `/git/ref/tags/${tag_name}`);
    const made = await ask("POST", "/releases", { tag_name, draft: files.length > 0, generate_release_notes });
    await upload(made, files, false);
    if (files.length > 0) await ask("PATCH", `/releases/${made.id}`, { draft: false });
  },
};

const commands = {
  "auth setup-git": setUpGit,
  "pr create": createPull,
  "pr list": listPulls,
  "release create": createRelease,
  "release edit": editRelease,
  "release upload": uploadToRelease,
  "release view": viewRelease,
  "workflow run": runWorkflow,
};

function fail(message, status = 1) {
  console.error(message);
  process.exit(status);
}

const [topic, verb, ...given] = process.argv.slice(2);
const command = commands[`${topic} ${verb}`];
if (!command) fail(`gh ${topic} ${verb} is not known here`);
if (!GH_TOKEN) fail("gh: set the GH_TOKEN environment variable", 4);
try {
  // which repository is meant, the real one takes from the work tree
  if (topic !== "auth" && !GH_REPO) execFileSync("git", ["remote", "get-url", "origin"], { stdio: "pipe" });
  const { positionals, values } = parseArgs({ args: given, options: command.options ?? {}, allowPositionals: true });
  await command.run(positionals, values, given);
} catch (error) {
  fail(`gh ${topic} ${verb}: ${error.message}`);
}
