//! Any message, any question about it: the answer is well-formed, and the same however often it is asked.

mod common;

use std::sync::Mutex;

use postroad_testkit::TestStore;

use common::World;
use postroad_protocol::{Protocol, Step};

/// Pieces of messages: enough to make parts within parts, and to break them.
const PIECES: [&str; 36] = [
    "\r\n",
    "\r\n\r\n",
    "Subject: a (b \"c\\ d\r\n",
    "Subject: =?utf-8?q?=C3=BC=22?=\r\n",
    "From: \"a \\\" b\" <c@d>, e: f@g;, <>\r\n",
    "To: \u{fc}@\u{fc}.test, @r:x@y\r\n",
    "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n",
    "Date: never\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=\"c\"\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: message/global\r\n",
    "Content-Type: text/html; charset=iso-8859-1; name*0=\"x\"; name*1=y\r\n",
    "Content-Type: text/plain; charset=nonsense\r\n",
    "Content-Type: ;;=\r\n",
    "Content-Disposition: attachment; filename=\"{3}\"\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Transfer-Encoding: x-uuencode\r\n",
    "Content-Transfer-Encoding: x-strange\r\n",
    "Content-Language: de, en (x)\r\n",
    "Content-ID: <a\"b>\r\n",
    "Content-Location: a\\b\r\n",
    "X-Other: \u{0}z\r\n",
    " folded\r\n",
    "--b\r\n",
    "--b--\r\n",
    "--c\r\n",
    "--c--\r\n",
    "text = of =C3=BC (with) \"{7}\r\n",
    "<p>some &amp; <b>html</b>",
    "AAECAwQF/+8=",
    "\u{0}",
    "\u{1F600}",
    "\n",
    "FETCH (",
];

const QUESTIONS: [&str; 20] = [
    "FETCH 1 FULL",
    "FETCH 1 (BODYSTRUCTURE UID MODSEQ EMAILID THREADID)",
    "FETCH 1 (BODY.PEEK[] RFC822.HEADER BODY.PEEK[TEXT])",
    "FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[2] FLAGS)",
    "FETCH 1 (BODY.PEEK[1.1] BODY.PEEK[2.1] BODY.PEEK[2.1.MIME] BODY.PEEK[1.1.1] UID)",
    "FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject X-Other)] BODY.PEEK[HEADER.FIELDS.NOT (Subject)] UID)",
    "FETCH 1 (BODY.PEEK[]<3.5> BODY.PEEK[1]<0.1> BODY.PEEK[HEADER]<2.7> UID)",
    "FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<1.3> UID)",
    "FETCH 1 (BINARY.PEEK[2] BINARY.PEEK[1.1] BINARY.SIZE[] BINARY.PEEK[] UID)",
    "FETCH 1 BODY[]",
    "SEARCH TEXT a",
    "SEARCH BODY \"\u{fc}\"",
    "SEARCH OR FROM c SUBJECT html NOT TO x",
    "SEARCH HEADER X-Other \"\" SENTSINCE 1-Jan-1990",
    "UID SEARCH RETURN (MIN MAX COUNT ALL) OR BODY some BODY html",
    "SORT (SUBJECT FROM DISPLAYTO CC REVERSE DATE SIZE) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "UID THREAD REFS UTF-8 ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
    "SEARCH LARGER 10 SMALLER 100000 YOUNGER 100 NOT SENTON 7-Feb-1994",
];

#[test]
fn fuzz_reading() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let world = Mutex::new(World::new(&test));
    postroad_fuzz::check!(400).with_type::<(bool, Vec<u8>)>().for_each(|(rev2, seed)| {
        let mut world = world.lock().expect("no panic before");
        let message: String = seed.iter().map(|&byte| PIECES[usize::from(byte) % PIECES.len()]).collect();
        world.settings.rev2 = true;
        world.deliver("alice", "INBOX", &[], &message);
        let mut commands = String::new();
        if *rev2 {
            commands.push_str("a0 ENABLE IMAP4rev2\r\n");
        }
        commands.push_str("a1 SELECT INBOX\r\n");
        for (number, question) in QUESTIONS.iter().enumerate() {
            commands.push_str(&format!("b{number} {question}\r\n"));
        }
        commands.push_str("z1 STORE 1 +FLAGS.SILENT (\\Deleted)\r\nz2 CLOSE\r\n");
        let said = said(&mut world, &commands);
        well_formed(&said, *rev2).unwrap_or_else(|problem| {
            panic!("{problem}\nmessage {}\nsaid {}", message.escape_debug(), said.escape_ascii())
        });
        for number in 0..QUESTIONS.len() {
            let tagged = [format!("b{number} OK "), format!("b{number} NO [UNKNOWN-CTE]")];
            let answered = tagged.iter().any(|tag| said.windows(tag.len()).any(|window| window == tag.as_bytes()));
            assert!(answered, "b{number}: {}", said.escape_ascii());
        }
    });
}

/// What a session answers, byte for byte.
fn said(world: &mut World, commands: &str) -> Vec<u8> {
    let mut session = world.logged_in("alice");
    session.input(commands.as_bytes());
    let mut said = Vec::new();
    loop {
        let step = session.step();
        said.extend(session.take_output());
        match step {
            Step::Do(job) => session = world.perform(session, job),
            Step::Read
            | Step::Wait(_)
            | Step::Close
            | Step::StartTls
            | Step::StartCompression
            | Step::EndCompression => return said,
        }
    }
}

/// Checks responses as a client reads them: lines, literals, quoted strings, parentheses.
fn well_formed(said: &[u8], utf8: bool) -> Result<(), String> {
    let mut rest = said;
    let mut depth = 0i32;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("a line without its end")?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        rest = after;
        let literal = scan(line, utf8, &mut depth)?;
        let Some((size, binary)) = literal else {
            if depth != 0 {
                return Err(format!("parentheses: {}", line.escape_ascii()));
            }
            continue;
        };
        let octets = rest.get(..size).ok_or("a literal shorter than announced")?;
        if !binary && octets.contains(&0) {
            return Err("NUL in a literal".to_owned());
        }
        rest = &rest[size..];
    }
    Ok(())
}

/// One line; the literal that it announces.
fn scan(line: &[u8], utf8: bool, depth: &mut i32) -> Result<Option<(usize, bool)>, String> {
    // The text of status responses is for people.
    let status = [&b"* OK"[..], b"* NO", b"* BAD", b"* BYE"].iter().any(|start| line.starts_with(start));
    if *depth == 0 && (status || !line.starts_with(b"* ") && line.first().is_some_and(u8::is_ascii_lowercase)) {
        return Ok(None);
    }
    let mut quoted = false;
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' if quoted => drop(bytes.next()),
            b'"' => quoted = !quoted,
            b'(' if !quoted => *depth += 1,
            b')' if !quoted => *depth -= 1,
            0 | b'\r' | b'\n' => return Err("a control character outside of a literal".to_owned()),
            0x80.. if !(utf8 && quoted) => return Err(format!("8-bit outside: {}", line.escape_ascii())),
            _ => {}
        }
        if *depth < 0 {
            return Err(format!("parentheses: {}", line.escape_ascii()));
        }
    }
    if quoted {
        return Err(format!("an open quote: {}", line.escape_ascii()));
    }
    let Some(inner) = line.strip_suffix(b"}") else { return Ok(None) };
    let Some(brace) = inner.iter().rposition(|&byte| byte == b'{') else { return Ok(None) };
    let size = std::str::from_utf8(&inner[brace + 1..]).ok().and_then(|digits| digits.parse().ok());
    Ok(size.map(|size| (size, brace > 0 && inner[brace - 1] == b'~')))
}
