//! Certificates of clients that open accounts.

use postroad_identity::cuts;
use postroad_mail::credentials;

use super::{Desk, Outcome, Refusal};
use crate::admin::Answer;
use crate::admin::time::shown;

pub(super) fn add(desk: &Desk<'_>, text: &str, name: String, fingerprint: &str) -> Outcome {
    let account = desk.account(text)?;
    let octets = unhex(fingerprint).ok_or_else(|| Refusal("a fingerprint is SHA-256: 64 hexadecimal digits".into()))?;
    let id = account.id;
    desk.of_account(&account, move |tx, by| credentials::pin(tx, by, id, &name, &octets))?;
    Ok(Answer::done(format!(
        "the certificate {fingerprint} opens {text}, where a listener has client-certificates = true"
    )))
}

pub(super) fn list(desk: &Desk<'_>, text: &str) -> Outcome {
    let id = desk.account(text)?.id;
    let found = desk.read(move |tx| credentials::pins(tx, id))?;
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let rows = found.into_iter().map(|pin| vec![pin.name, hex(&pin.fingerprint), shown(pin.created)]).collect();
    Ok(Answer::table(&["NAME", "SHA-256", "SINCE"], rows, "no certificate"))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str, name: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let found = desk.read(move |tx| credentials::pins(tx, id))?;
    let Some(pin) = found.into_iter().find(|pin| pin.name == name) else {
        return Err(Refusal(format!(
            "{text} has no certificate {name}; `postroad client-certificate list {text}` shows all"
        )));
    };
    desk.of_account(&account, move |tx, by| {
        credentials::unpin(tx, by, id, pin.id)?;
        cuts::tell(tx, id, pin.id, by.now)
    })?;
    Ok(Answer::done(format!("the certificate {name} opens {text} no more")))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let octets: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect();
    (text.len() == 64 && digits.len() == 64).then(|| octets.try_into().ok())?
}
