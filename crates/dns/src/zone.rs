//! Which zone a name is in.

use crate::{Answer, Dns, Error};

/// The zone that has the records of this name: of the names above it (and itself) the closest with a start of authority.
/// Asked of the zone's own server it is the one that updates are sent for.
pub async fn zone_of(dns: &dyn Dns, name: &str) -> Result<String, Error> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut at = name.as_str();
    loop {
        match dns.soa(at).await {
            // That of an alias is of another name.
            Ok(Answer { name: top, .. }) if top == at => return Ok(top),
            Ok(_) => {}
            Err(error) if error.is_denial() => {}
            Err(error) => return Err(error),
        }
        at = match at.split_once('.') {
            Some((_, above)) => above,
            None => return Err(Error::NoSuchName(crate::Security::Unchecked)),
        };
    }
}
