// A mail server, npm `smtp-server`, that reads what it is given with `mailparser`.
//
//     node postbox.mjs MODULES PORT FOLDER
//
// FOLDER/settings.json is read for each recipient, and when it starts:
//   refuse, defer: addresses that are refused for good, or for now
//   hang: addresses about which it never answers
//   user, password: nobody else gives it anything
//   delay_ms: how long it thinks about each
//   most: how many messages it takes over one connection; it ends that when the next is named
//   silent: it takes what it is given and never says so
//   starttls: whether it offers TLS, with a certificate that nobody knows
//   key, cert: files with the key and certificate to do so; `tls`: from the first byte
// What it took is a line of JSON in FOLDER/messages. A line on standard output says that it serves;
// it ends with its standard input.
import { appendFileSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, port, folder] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { SMTPServer } = require('smtp-server');
const { simpleParser } = require('mailparser');

const settings = () => JSON.parse(readFileSync(`${folder}/settings.json`));
const { user, starttls, key, cert, tls } = settings();
// How many messages came over each connection.
const counts = new Map();

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

const server = new SMTPServer({
  // Names are not looked up: that could take longer than everything else.
  disableReverseLookup: true,
  ...(key && { key: readFileSync(key), cert: readFileSync(cert) }),
  secure: Boolean(tls),
  authOptional: !user,
  allowInsecureAuth: true,
  disabledCommands: [...(user ? [] : ['AUTH']), ...(starttls ? [] : ['STARTTLS'])],
  onAuth(auth, _, answer) {
    const { user, password } = settings();
    if (auth.username === user && auth.password === password) return answer(null, { user });
    // A server that says too much.
    answer(refusal(535, `no ${auth.username} with ${auth.password} here`));
  },
  onMailFrom(_, session, answer) {
    const { most = Infinity } = settings();
    if ((counts.get(session.id) ?? 0) < most) return answer();
    for (const one of server.connections) if (one.id === session.id) one.close();
  },
  onRcptTo({ address }, _, answer) {
    const { refuse = [], defer = [], hang = [], delay_ms = 0 } = settings();
    if (hang.includes(address)) return;
    if (refuse.includes(address)) return answer(refusal(550, 'no such mailbox'));
    if (defer.includes(address)) return answer(refusal(451, 'come back later'));
    setTimeout(answer, delay_ms);
  },
  async onData(stream, session, answer) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    const source = Buffer.concat(parts);
    const mail = await simpleParser(source);
    const message = {
      from: session.envelope.mailFrom.address,
      connection: session.id,
      to: session.envelope.rcptTo.map(({ address }) => address),
      secure: session.secure,
      names: mail.headerLines.map(({ key }) => key),
      headers: Object.fromEntries(mail.headerLines.map(({ key, line }) => [key, line])),
      subject: mail.subject,
      shown_from: mail.from.text,
      shown_to: mail.to.text,
      date: mail.date,
      id: mail.messageId,
      answers: mail.inReplyTo ?? null,
      references: mail.references ?? null,
      text: mail.text,
      html: mail.html,
      attachments: mail.attachments.length,
      source: source.toString('latin1'),
    };
    appendFileSync(`${folder}/messages`, `${JSON.stringify(message)}\n`);
    counts.set(session.id, (counts.get(session.id) ?? 0) + 1);
    if (!settings().silent) answer();
  },
});
server.on('error', () => {});
server.listen(Number(port), '127.0.0.1', () => console.log('serving'));

process.stdin.resume().on('end', () => process.exit());
