//! What the DNS records of a domain follow from, as far as the database knows.

use postroad_mail::domains;
use postroad_trust::sts::Own;
use postroad_trust::{keys, sts};
use postroad_web::acme;
use serde_json::json;

use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::Answer;

/// For a domain of ours or an alias of one: its signing keys, its policy, the keys of this server's certificate.
pub(super) fn facts(desk: &Desk<'_>, text: &str, hostname: &str) -> Outcome {
    let domain = domain_name(text)?;
    let (name, host) = (domain.as_str().to_owned(), hostname.to_owned());
    let found = desk.store.read_blocking(move |tx| -> Result<_, Refusal> {
        if domains::ours(tx, &domain)?.is_none() {
            return Ok(None);
        }
        let own = sts::own(tx, domain.as_str())?.unwrap_or_default();
        let tlsa = acme::tlsa(tx, &host).map_err(|error| Refusal(error.to_string()))?;
        Ok(Some((keys::list(tx, Some(domain.as_str()))?, own, tlsa)))
    })?;
    let Some((keys, own, tlsa)) = found else {
        return Err(Refusal(format!("{text} is not a domain of this server; add it with `postroad domain add`")));
    };
    let keys: Vec<_> = keys
        .iter()
        .filter(|key| key.state.wants_record())
        .map(|key| json!({ "name": key.name(), "record": key.record, "state": key.state.name() }))
        .collect();
    let hex = |data: &[u8]| data.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let tlsa: Vec<String> = tlsa.iter().map(|one| hex(&one.data)).collect();
    let Own { mx, .. } = &own;
    let data = json!({
        "domain": name, "exchangers": mx, "policy": own.policy(hostname).id(), "mode": own.mode.name(), "keys": keys, "tlsa": tlsa,
    });
    Ok(Answer::Report { text: String::new(), data })
}
