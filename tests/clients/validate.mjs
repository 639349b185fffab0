// A stock validator: jose and a JWK Set. It knows nothing of who issued the token.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from "jose";

const text = { type: "string" };
const { values } = parseArgs({
  options: { "jwks-url": text, "jwks-file": text, issuer: text, audience: text },
});
const token = readFileSync(0, "utf8").trim();
const keys = values["jwks-url"]
  ? createRemoteJWKSet(new URL(values["jwks-url"]))
  : createLocalJWKSet(JSON.parse(readFileSync(values["jwks-file"], "utf8")));

try {
  const { payload } = await jwtVerify(token, keys, {
    issuer: values.issuer,
    audience: values.audience,
    algorithms: ["RS256"],
  });
  console.log(JSON.stringify(payload));
} catch (error) {
  console.error(error.constructor.name);
  process.exit(1);
}
