// fastify with jose, the realm's keys at hand: every token is checked.
import { readFileSync } from "node:fs";
import fastify from "fastify";
import { createLocalJWKSet, jwtVerify } from "jose";

const [, , port, issuer, jwks] = process.argv;
const keys = createLocalJWKSet(JSON.parse(readFileSync(jwks)));
const app = fastify();
app.get("/", async (request, reply) => {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    try {
        const { payload } = await jwtVerify(token, keys, { issuer, algorithms: ["RS256"] });
        reply.header("x-auth-username", payload.preferred_username);
        return "ok";
    } catch {
        return reply.code(401).send();
    }
});
await app.listen({ host: "127.0.0.1", port: Number(port) });
