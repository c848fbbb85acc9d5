//! Who may speak to which listener. How many, `net` decides.

use std::net::IpAddr;

use postroad_net::Network;
use postroad_smtp::{Reply, Role};

/// LMTP has no authentication of its own: its listener is for neighbours that are named.
pub fn decide(role: Role, client: IpAddr, lmtp_clients: &[Network]) -> Result<(), Reply> {
    match role {
        Role::Relay | Role::Submission => Ok(()),
        Role::Lmtp => {
            let neighbour =
                client.to_canonical().is_loopback() || lmtp_clients.iter().any(|network| network.contains(client));
            match neighbour {
                true => Ok(()),
                false => Err(Reply::new(
                    554,
                    (5, 7, 1),
                    format!("{client} may not deliver here by LMTP; the administrator can name it in the settings."),
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lmtp_is_for_neighbours() {
        let named = ["10.0.0.0/8".parse().expect("a network")];
        for (role, client, expect) in [
            (Role::Lmtp, "127.0.0.1", true),
            (Role::Lmtp, "::ffff:127.0.0.1", true),
            (Role::Lmtp, "10.9.8.7", true),
            (Role::Lmtp, "192.0.2.1", false),
            (Role::Relay, "192.0.2.1", true),
            (Role::Submission, "2001:db8::1", true),
        ] {
            let client = client.parse().expect(client);
            assert_eq!(decide(role, client, &named).is_ok(), expect, "{role:?} {client}");
        }
    }
}
