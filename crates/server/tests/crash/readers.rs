//! Readers: flags, copies and appends by IMAP until the server dies.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use crate::client::Client;
use crate::ledger::{Append, Copy, Ledger, Uid, body};
use crate::{ACCOUNTS, PASSWORD, Random};

const DRAFT: usize = 200;

pub(crate) fn change(
    place: SocketAddr,
    account: usize,
    name: &str,
    ledger: &Ledger,
    mut random: Random,
    tell: &Sender<()>,
) {
    // Errors of the network are what a kill looks like.
    let _ = session(place, account, name, ledger, &mut random, tell);
}

fn session(
    place: SocketAddr,
    account: usize,
    name: &str,
    ledger: &Ledger,
    random: &mut Random,
    tell: &Sender<()>,
) -> Result<()> {
    let mut client = Client::connect(place)?;
    client.hear()?;
    good(&client.imap(&format!("LOGIN {} \"{PASSWORD}\"", ACCOUNTS[account]))?);
    good(&client.imap("SELECT INBOX")?);
    let mut drafts = 0;
    loop {
        let uid = 1 + random.below(400);
        match random.below(4) {
            0 => {
                drafts += 1;
                append(&mut client, account, &format!("{name}.d{drafts}@crash.test"), ledger)?;
            }
            1 => copy(&mut client, account, uid, ledger)?,
            2 => good(&client.imap(&format!("UID STORE {uid}:{} +FLAGS.SILENT (\\Seen $Load)", uid + 20))?),
            _ => good(&client.imap(&format!("UID STORE {uid}:* -FLAGS (\\Seen)"))?),
        }
        let _ = tell.send(());
    }
}

fn append(client: &mut Client, account: usize, id: &str, ledger: &Ledger) -> Result<()> {
    ledger.open().appends.insert(id.to_owned(), Append { account, promised: None });
    let text = format!("Message-ID: <{id}>\r\n\r\n{}", body(id, DRAFT));
    client.say(format!("a APPEND Drafts (\\Draft) {{{}+}}\r\n{text}\r\n", text.len()).as_bytes())?;
    let answer = client.tagged()?;
    good(&answer);
    let numbers = code(&answer, "APPENDUID");
    let promised = Uid { uidvalidity: numbers[0], uid: numbers[1] };
    ledger.open().appends.get_mut(id).expect("it was planned").promised = Some(promised);
    Ok(())
}

fn copy(client: &mut Client, account: usize, source: u64, ledger: &Ledger) -> Result<()> {
    let answer = client.imap(&format!("UID COPY {source} Archive"))?;
    good(&answer);
    // Without the code nothing was there to copy.
    if let [uidvalidity, source, uid] = code(&answer, "COPYUID")[..] {
        ledger.open().copies.push(Copy { account, source, target: Uid { uidvalidity, uid } });
    }
    Ok(())
}

/// The numbers of a response code; none when it is not there.
fn code(answer: &str, name: &str) -> Vec<u32> {
    let inside = answer.split_once(&format!("[{name} ")).and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or_else(Vec::new, |(inside, _)| {
        inside.split(' ').map(|number| number.parse().expect("a number in a response code")).collect()
    })
}

fn good(answer: &str) {
    assert!(answer.starts_with("OK"), "{answer}");
}
