// A certified OpenID Connect provider, npm `oidc-provider`, with a form of its own to sign in.
//
//     node provider.mjs MODULE PORT ACCOUNTS
//
// ACCOUNTS is a file of JSON, read each time: the claims of each account by its name. Every start has
// keys of its own. A line on standard output says that it serves; it ends with its standard input.
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [module, port, accounts] = process.argv.slice(2);
const { default: Provider, interactionPolicy } = await import(module);
const issuer = `http://127.0.0.1:${port}`;
// Over a text: node locks a key while it exports it, and waits for that lock when it then collects the garbage
// of having made the very same key.
const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const key = { ...createPrivateKey(privateKey).export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };

// At a native client's address on this machine the port does not count (RFC 8252, section 7.3).
const client = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/sign-in/oidc/callback'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
};

// Such a client would have people agree each time.
const policy = interactionPolicy.base();
policy.get('consent').checks.remove('native_client_prompt');

const provider = new Provider(issuer, {
  clients: [
    { ...client, client_id: 'quorate', client_secret: 'a secret: 100% "of it"' },
    { ...client, client_id: 'public', token_endpoint_auth_method: 'none' },
  ],
  claims: { profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  // Everybody has agreed.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...JSON.parse(readFileSync(accounts))[id], sub: id }) }),
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  cookies: { keys: [randomUUID()] },
  jwks: { keys: [key] },
});

const form = `<!doctype html><title>Provider</title><form method="post">
<input name="account" id="account"><button id="yes">Sign in</button><button id="no" name="no" value="1">No</button>
</form>`;

async function interact(request, response) {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html');
    response.end(form);
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const sent = new URLSearchParams(body);
  const result = sent.get('no') ? { error: 'access_denied' } : { login: { accountId: sent.get('account') } };
  await provider.interactionFinished(request, response, result);
}

const callback = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return callback(request, response);
  interact(request, response).catch((error) => { response.statusCode = 500; response.end(String(error)); });
}).listen(Number(port), '127.0.0.1', () => console.log('serving'));

process.stdin.resume().on('end', () => process.exit());
