// Sigstore without Sigstore: sigstore.mjs FOLDER, where `npm ci` was run in FOLDER. Authority, transparency log and certificate log are those
// of Sigstore's own tests (@sigstore/mock). Beside them is GitHub's service that gives a job its identity token.
//
// One line of JSON goes to standard output: `port`. It ends when standard input does, so it never outlives its parent.

import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const load = createRequire(join(process.argv[2], "package.json"));
const { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } = load("@sigstore/mock");
const { HashAlgorithm, PublicKeyDetails, TrustedRoot } = load("@sigstore/protobuf-specs");
const jose = load("jose");

/** Whose tokens the authority accepts, and for whom they are made. As on GitHub. */
const ISSUER = "https://token.actions.githubusercontent.com";
const AUDIENCE = "sigstore";
/** The name of the logs, which is signed with each entry. */
const LOG = "http://log.test";

const pair = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const github = pair();
const certificateLog = await initializeCTLog(pair());
const authority = await initializeCA(pair(), certificateLog);
const log = await initializeTLog(LOG, pair());
// the name in a certificate is a claim, which `certify` adds
const fulcio = fulcioHandler(authority, { subjectClaim: "identity" });
const rekor = rekorHandler(log);

/** The claims of each running job, by the token that it asks with. */
const jobs = new Map();

/** Takes the claims of a job; what it asks for its identity with. */
function begin(_, body) {
  const token = randomUUID();
  jobs.set(token, JSON.parse(body));
  return { statusCode: 201, response: JSON.stringify({ token }) };
}

/** https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token */
async function identify(request) {
  const claims = jobs.get(request.headers.authorization?.replace(/^bearer /i, ""));
  if (!claims) return { statusCode: 401, response: "this is no job with id-token: write" };
  const { sub, ...others } = claims;
  const token = new jose.SignJWT(others).setProtectedHeader({ alg: "ES256" }).setIssuer(ISSUER).setSubject(sub).setIssuedAt();
  const audience = new URL(request.url, "http://sigstore.test").searchParams.get("audience");
  return { statusCode: 200, response: JSON.stringify({ value: await token.setAudience(audience).setExpirationTime("5m").sign(github.privateKey) }) };
}

/** Makes a certificate for what the token says: the workflow, with its branch or tag. */
async function certify(_, body) {
  const asked = JSON.parse(body);
  const { payload } = await jose.jwtVerify(asked.credentials.oidcIdentityToken, github.publicKey, { issuer: ISSUER, audience: AUDIENCE });
  const identity = `https://github.com/${payload.job_workflow_ref}`;
  // the handler verifies nothing, so it need not be signed
  asked.credentials.oidcIdentityToken = new jose.UnsecuredJWT({ ...payload, identity }).encode();
  return fulcio.fn(JSON.stringify(asked));
}

/** What a client trusts, in the form of Sigstore's TUF repository. */
function trusted() {
  const always = { start: new Date(0) };
  const logOf = (key) => ({
    baseUrl: LOG,
    checkpointKeyId: undefined,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    logId: { keyId: createHash("sha256").update(key).digest() },
    operator: "",
    publicKey: { rawBytes: key, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256, validFor: always },
  });
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    certificateAuthorities: [
      {
        certChain: { certificates: [{ rawBytes: authority.rootCertificate }] },
        operator: "",
        subject: { commonName: "sigstore", organization: "sigstore.mock" },
        uri: "http://fulcio.test",
        validFor: always,
      },
    ],
    ctlogs: [logOf(certificateLog.publicKey)],
    timestampAuthorities: [],
    tlogs: [logOf(log.publicKey)],
  };
  return { statusCode: 200, response: JSON.stringify(TrustedRoot.toJSON(root)) };
}

const answers = {
  "GET /identity": identify,
  "GET /trusted_root.json": trusted,
  "POST /jobs": begin,
  [`POST ${fulcio.path}`]: certify,
  [`POST ${rekor.path}`]: (_, body) => rekor.fn(body),
};

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const answer = answers[`${request.method} ${request.url.split("?")[0]}`];
  let answered;
  try {
    answered = answer ? await answer(request, Buffer.concat(parts).toString()) : { statusCode: 404, response: "there is nothing here" };
  } catch (error) {
    answered = { statusCode: 400, response: String(error) };
  }
  response.writeHead(answered.statusCode, { "content-type": answered.contentType ?? "application/json" }).end(answered.response);
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume().once("end", () => process.exit());
