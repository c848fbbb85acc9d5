// Runs in Thunderbird: finds the settings, checks them, makes the account, lists the mailboxes, reads the inbox.
const [authority, email, password, done] = arguments;
const said = {};

const module = name => ChromeUtils.importESModule(`resource:///modules/${name}.sys.mjs`);
const setUp = name => module(`accountcreation/${name}`)[name];

// What is under way until a URL of IMAP has run.
const run = start => new Promise((resolve, reject) => {
  start({
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl: (url, status) => status ? reject(new Error(`${url.spec}: ${status}`)) : resolve(),
  });
});

const hostOf = side => ({
  host: side.hostname, port: side.port, tls: side.socketType, "sign-in": side.auth, user: side.username,
});

async function all() {
  const { MailServices } = module("MailServices");
  Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(authority, "C,C,C");
  const { signal } = new AbortController();
  const config = await setUp("FetchConfig").fromISP(email.split("@")[1], email, signal);
  setUp("AccountConfig").replaceVariables(config, "Somebody", email, password);
  const verified = await new (setUp("ConfigVerifier"))(null, signal).verifyConfig(config);
  said.incoming = hostOf(verified.incoming);
  said.outgoing = hostOf(verified.outgoing);
  verified.incoming.password = password;
  verified.outgoing.password = password;
  verified.rememberPassword = true;
  const account = await setUp("CreateInBackend").createAccountInBackend(verified);
  const root = account.incomingServer.rootFolder;
  await run(listener => MailServices.imap.discoverAllFolders(root, listener, null));
  const roles = { Archive: "Archive", Drafts: "Drafts", Inbox: "INBOX", Junk: "Junk", SentMail: "Sent", Trash: "Trash" };
  const role = folder => Object.keys(roles).find(name => folder.flags & Ci.nsMsgFolderFlags[name]);
  said.mailboxes = root.descendants.map(folder => [folder.name, roles[role(folder)]]).sort();
  const inbox = root.descendants.find(folder => role(folder) == "Inbox");
  await run(listener => inbox.getNewMessages(null, listener));
  said.subjects = [...inbox.messages].map(message => message.subject);
}

all().catch(error => { said.failed = `${error} ${error.stack} ${error.cause ?? ""}`; }).then(() => done(said));
