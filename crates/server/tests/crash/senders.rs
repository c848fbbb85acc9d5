//! Senders: mail by SMTP and LMTP until the server dies.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use crate::client::Client;
use crate::ledger::{Ledger, Message, body};
use crate::{ACCOUNTS, Random};
use postroad_store::BLOB_INLINE_MAX;

/// Most bodies are small and sit in the database.
const SMALL: usize = 400;
/// One in so many is large and becomes a file.
const LARGE_ONE_IN: u64 = 8;
const LARGE: usize = BLOB_INLINE_MAX + 10_000;
/// Messages in one connection, at most.
const PER_CONNECTION: u64 = 20;

pub(crate) fn send(place: SocketAddr, lmtp: bool, name: &str, ledger: &Ledger, mut random: Random, tell: &Sender<()>) {
    let mut number = 0;
    // Errors of the network are what a kill looks like.
    while connection(place, lmtp, name, &mut number, ledger, &mut random, tell).is_ok() {}
}

fn connection(
    place: SocketAddr,
    lmtp: bool,
    name: &str,
    number: &mut u32,
    ledger: &Ledger,
    random: &mut Random,
    tell: &Sender<()>,
) -> Result<()> {
    let mut client = Client::connect(place)?;
    client.reply()?;
    client.say(if lmtp { b"LHLO crash.test\r\n" } else { b"EHLO crash.test\r\n" })?;
    client.reply()?;
    for _ in 0..=random.below(PER_CONNECTION) {
        *number += 1;
        message(&mut client, lmtp, &format!("{name}.n{number}@crash.test"), ledger, random, tell)?;
    }
    client.say(b"QUIT\r\n")?;
    client.reply()?;
    Ok(())
}

fn message(
    client: &mut Client,
    lmtp: bool,
    id: &str,
    ledger: &Ledger,
    random: &mut Random,
    tell: &Sender<()>,
) -> Result<()> {
    let first = random.below(ACCOUNTS.len() as u64) as usize;
    let count = 1 + random.below(ACCOUNTS.len() as u64) as usize;
    let recipients: Vec<usize> = (0..count).map(|nth| (first + nth) % ACCOUNTS.len()).collect();
    let size = if random.below(LARGE_ONE_IN) == 0 { LARGE } else { SMALL };
    let planned = Message { recipients: recipients.clone(), body: size, acknowledged: Vec::new() };
    ledger.open().messages.insert(id.to_owned(), planned);
    let mut words = "MAIL FROM:<load@crash.test>\r\n".to_owned();
    for recipient in &recipients {
        words.push_str(&format!("RCPT TO:<{}>\r\n", ACCOUNTS[*recipient]));
    }
    words.push_str("DATA\r\n");
    client.say(words.as_bytes())?;
    for expected in std::iter::repeat_n("250", 1 + recipients.len()).chain(["354"]) {
        let reply = client.reply()?;
        assert!(reply.starts_with(expected), "{id}: {reply}");
    }
    let text = format!("From: load@crash.test\r\nMessage-ID: <{id}>\r\nSubject: {id}\r\n\r\n{}.\r\n", body(id, size));
    client.say(text.as_bytes())?;
    let replies = if lmtp { recipients.len() } else { 1 };
    for nth in 0..replies {
        let reply = client.reply()?;
        assert!(reply.starts_with("250"), "{id}: {reply}");
        let mut ledger = ledger.open();
        let message = ledger.messages.get_mut(id).expect("it was planned");
        message.acknowledged = if lmtp { recipients[..=nth].to_vec() } else { recipients.clone() };
    }
    // The main thread stops listening when it has heard enough.
    let _ = tell.send(());
    Ok(())
}
