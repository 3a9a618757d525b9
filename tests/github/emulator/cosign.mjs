// What cosign 3 does in the workflows, and what it verifies for people, with the emulated Sigstore: cosign.mjs FOLDER SIGSTORE COMMAND …,
// where `npm ci` was run in FOLDER and SIGSTORE is the address of sigstore.mjs. Any other command or option fails.
//
// Signatures and attestations are made and verified by Sigstore's own libraries for JavaScript. They have the form of cosign 3: bundles
// beside an image in its registry, and each signature of an image is an attestation, too.
// https://github.com/sigstore/cosign/blob/v3.1.3/specs/BUNDLE_SPEC.md

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";

const [folder, sigstore, verb, ...given] = process.argv.slice(2);
const load = createRequire(join(folder, "package.json"));
const { bundleFromJSON, bundleToJSON } = load("@sigstore/bundle");
const { attachArtifactToImage } = load("@sigstore/oci");
const { TrustedRoot } = load("@sigstore/protobuf-specs");
const { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness } = load("@sigstore/sign");
const { Verifier, toSignedEntity, toTrustMaterial } = load("@sigstore/verify");

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const STATEMENT = "application/vnd.in-toto+json";
const SIGNATURE = "https://sigstore.dev/cosign/sign/v1";
/** The types of attestations that are known here, with the members that a predicate needs. */
const TYPES = {
  cyclonedx: { uri: "https://cyclonedx.org/bom", members: ["bomFormat", "specVersion"] },
  slsaprovenance1: { uri: "https://slsa.dev/provenance/v1", members: ["buildDefinition", "runDetails"] },
};
const INDEX = "application/vnd.oci.image.index.v1+json";

function fail(message) {
  console.error(`cosign ${verb}: ${message}`);
  process.exit(1);
}

/** The identity of the job, from GitHub. A job without the right has no such variables. */
async function identity() {
  const { ACTIONS_ID_TOKEN_REQUEST_TOKEN: token, ACTIONS_ID_TOKEN_REQUEST_URL: url } = process.env;
  if (!token || !url) fail("this job has no identity: it needs id-token: write");
  const answer = await fetch(`${url}&audience=sigstore`, { headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) fail(await answer.text());
  return (await answer.json()).value;
}

/** How a bundle is made: with a certificate for a new key, and an entry of the log. */
const keyless = () => ({
  signer: new FulcioSigner({ fulcioBaseURL: sigstore, identityProvider: { getToken: identity } }),
  witnesses: [new RekorWitness({ rekorBaseURL: sigstore, entryType: "intoto" })],
});

/** `<registry>/<repository>@sha256:…` */
function byDigest(image) {
  const found = image.match(/^([^/@]+)\/([^@:]+)@(sha256:[0-9a-f]{64})$/);
  if (!found) fail(`${image} is not named by a digest`);
  const [, registry, repository, digest] = found;
  return { name: `${registry}/${repository}`, url: `http://${registry}/v2/${repository}`, digest };
}

/** Signs a statement about an image, and puts it beside the image, which must be there. */
async function attach(image, predicateType, predicate) {
  const { name, digest } = byDigest(image);
  const subject = [{ name, digest: { sha256: digest.replace("sha256:", "") } }];
  const statement = { _type: "https://in-toto.io/Statement/v0.1", predicateType, subject, predicate };
  const bundle = await new DSSEBundleBuilder(keyless()).create({ data: Buffer.from(JSON.stringify(statement)), type: STATEMENT });
  await attachArtifactToImage({
    imageName: name,
    imageDigest: digest,
    mediaType: BUNDLE,
    artifact: Buffer.from(JSON.stringify(bundleToJSON(bundle))),
    annotations: { "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicateType },
  });
}

/** A verifier with the policy that the options say. */
async function verifier(options) {
  const { "certificate-identity": exactly, "certificate-identity-regexp": like, "certificate-oidc-issuer": issuer } = options;
  if (!issuer || !exactly === !like) fail("say whose signature is expected");
  const root = TrustedRoot.fromJSON(await (await fetch(`${sigstore}/trusted_root.json`)).json());
  const verifier = new Verifier(toTrustMaterial(root), { ctlogThreshold: 1, tlogThreshold: 1 });
  const subjectAlternativeName = like ?? `^${exactly.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  return (bundle, artifact) => verifier.verify(toSignedEntity(bundle, artifact), { subjectAlternativeName, extensions: { issuer } });
}

async function answered(url, accept) {
  const answer = await fetch(url, { headers: { accept } });
  if (!answer.ok) fail(`${url}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

/** The bundles beside an image. The registry of the tests lists them under a tag. */
async function bundles({ url, digest }) {
  const { manifests } = JSON.parse(await answered(`${url}/manifests/${digest.replace(":", "-")}`, INDEX));
  const found = manifests.filter(({ artifactType }) => artifactType === BUNDLE);
  return Promise.all(
    found.map(async ({ digest, mediaType }) => {
      const { layers } = JSON.parse(await answered(`${url}/manifests/${digest}`, mediaType));
      return bundleFromJSON(JSON.parse(await answered(`${url}/blobs/${layers[0].digest}`, "*/*")));
    }),
  );
}

/** The predicates of a type that somebody has signed for an image; none is an error. */
async function verified(image, predicateType, options) {
  const [named, verify] = [byDigest(image), await verifier(options)];
  const predicates = [];
  const refused = [];
  for (const bundle of await bundles(named)) {
    try {
      verify(bundle);
      const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
      const isOfImage = statement.subject.some(({ digest }) => `sha256:${digest.sha256}` === named.digest);
      if (statement.predicateType === predicateType && isOfImage) predicates.push(statement.predicate);
    } catch (error) {
      refused.push(error.message);
    }
  }
  if (predicates.length === 0) fail(`nothing of type ${predicateType} is signed for ${image} as it should be: ${refused.join("; ")}`);
  return predicates;
}

function typeOf(name) {
  return TYPES[name] ?? fail(`the type ${name} is not known here`);
}

const confirmed = { yes: { type: "boolean" } };
const signer = {
  "certificate-identity": { type: "string" },
  "certificate-identity-regexp": { type: "string" },
  "certificate-oidc-issuer": { type: "string" },
};

const commands = {
  sign: {
    options: confirmed,
    async run(images) {
      for (const image of images) await attach(image, SIGNATURE, {});
    },
  },
  attest: {
    options: { ...confirmed, predicate: { type: "string" }, type: { type: "string" } },
    async run([image], { predicate: file, type }) {
      const { uri, members } = typeOf(type);
      const predicate = JSON.parse(readFileSync(file));
      const missing = members.find((member) => !(member in predicate));
      if (missing) fail(`${file} has no ${missing}, which ${type} needs`);
      await attach(image, uri, predicate);
    },
  },
  "sign-blob": {
    options: { ...confirmed, bundle: { type: "string" } },
    async run([file], { bundle: to }) {
      const bundle = await new MessageSignatureBundleBuilder(keyless()).create({ data: readFileSync(file) });
      writeFileSync(to, JSON.stringify(bundleToJSON(bundle)));
    },
  },
  verify: {
    options: signer,
    async run([image], options) {
      await verified(image, SIGNATURE, options);
    },
  },
  "verify-attestation": {
    options: { ...signer, type: { type: "string" } },
    /** Prints the predicates alone; cosign prints their envelopes. */
    async run([image], options) {
      console.log(JSON.stringify(await verified(image, typeOf(options.type).uri, options)));
    },
  },
  "verify-blob": {
    options: { ...signer, bundle: { type: "string" } },
    async run([file], { bundle, ...options }) {
      const verify = await verifier(options);
      verify(bundleFromJSON(JSON.parse(readFileSync(bundle))), readFileSync(file));
    },
  },
};

const command = commands[verb] ?? fail("this command is not known here");
try {
  const { positionals, values } = parseArgs({ args: given, options: command.options, allowPositionals: true });
  // without it, cosign asks a person whether the log may be told, and nobody is there
  if ("yes" in command.options && !values.yes) fail("--yes is missing");
  const only = verb === "sign" ? positionals.length > 0 : positionals.length === 1;
  if (!only) fail(`it is about ${positionals.length} things`);
  await command.run(positionals, values);
} catch (error) {
  fail(error.cause ? `${error.message}: ${error.cause.message}` : error.message);
}
