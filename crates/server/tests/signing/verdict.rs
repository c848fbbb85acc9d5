//! What others make of a message: dkimpy, opendkim and pyspf from Debian, asking the test's own name server.

use std::net::SocketAddr;

use postroad_testkit::run;

/// Debian's own: another Python does not see Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

/// Needs python3-dkim, python3-nacl (for Ed25519), python3-spf and python3-dnspython.
const SCRIPT: &str = r#"
import sys, dns.resolver
what, host, port = sys.argv[1:4]
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], int(port)

def records(name, kind):
    try:
        return list(resolver.resolve(name, kind))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []

def txt(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    found = records(name, "TXT")
    return b"".join(found[0].strings) if found else None

if what == "dkim":
    import dkim
    message = sys.stdin.buffer.read()
    count = len(dkim.DKIM(message).headers and [h for h in dkim.DKIM(message).headers if h[0].lower() == b"dkim-signature"])
    for index in range(count):
        d = dkim.DKIM(message, minkey=1024)
        try:
            good = d.verify(idx=index, dnsfunc=txt)
        except dkim.DKIMException as error:
            good = error
        f = d.signature_fields
        print(f[b"a"].decode(), f[b"d"].decode(), f[b"s"].decode(), good)
elif what == "arc":
    import dkim
    message = sys.stdin.buffer.read()
    cv, results, comment = dkim.ARC(message).verify(dnsfunc=txt)
    print(cv.decode() if cv else cv, len(results), comment)
elif what == "spf":
    import spf
    def lookup(name, kind, strict=True, timeout=None):
        answers = []
        for found in records(name, kind):
            if kind == "TXT":
                answers.append(((name, kind), found.strings))
            elif kind == "MX":
                answers.append(((name, kind), (found.preference, found.exchange.to_text(True))))
            else:
                answers.append(((name, kind), found.to_text()))
        return answers
    spf.DNSLookup = lookup
    ip, sender, helo = sys.argv[4:7]
    print(spf.check2(i=ip, s=sender, h=helo)[0])
"#;

fn ask(what: &str, dns: SocketAddr, more: &[&str], message: &[u8]) -> String {
    let (host, port) = (dns.ip().to_string(), dns.port().to_string());
    let arguments = [&["-c", SCRIPT, what, &host, &port], more].concat();
    run(PYTHON, &arguments, message).good().trim().to_owned()
}

/// A line for each signature, from the top: algorithm, domain, selector, and `True` where it holds.
pub(crate) fn dkim(dns: SocketAddr, message: &[u8]) -> Vec<String> {
    ask("dkim", dns, &[], message).lines().map(str::to_owned).collect()
}

/// The chain's state, how many sets there are, and why.
pub(crate) fn arc(dns: SocketAddr, message: &[u8]) -> String {
    ask("arc", dns, &[], message)
}

/// The result for a client, a sender and a HELO name.
pub(crate) fn spf(dns: SocketAddr, ip: &str, sender: &str, helo: &str) -> String {
    ask("spf", dns, &[ip, sender, helo], b"")
}

/// What opendkim says of a message, knowing these keys: names and texts of records.
pub(crate) fn opendkim(keys: &[(String, String)], message: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let lines: String = keys.iter().map(|(name, text)| format!("{name} {text}\n")).collect();
    std::fs::write(path("keys"), lines).expect("it can be written");
    std::fs::write(path("message"), message).expect("it can be written");
    let settings = format!("Mode v\nTestPublicKeys {}\nSyslog no\nOn-Security Accept\n", path("keys"));
    std::fs::write(path("conf"), settings).expect("it can be written");
    let ran = run("/usr/sbin/opendkim", &["-x", &path("conf"), "-vvv", "-t", &path("message")], b"");
    ran.good()
}
