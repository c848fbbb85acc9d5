//! Recipients that are rewritten senders: notices that find their way back.

use postroad_mail::{Domain, domains};
use postroad_smtp::{ForwardPath, RcptTo, Reply};

use super::WayBack;
use crate::inbound::Inbound;
use crate::policy::rcpt::Refused;
use crate::replies;

impl Inbound {
    /// Where a recipient leads that is a sender which was rewritten here; `None` for an address like others, among them those
    /// that only look like one. Refused is mail that is no notice: who got forwarded mail knows the address, and could write
    /// through us to whoever sent it.
    pub(crate) async fn way_back(&self, to: &RcptTo, null_sender: bool) -> Result<Option<ForwardPath>, Refused> {
        let Some(srs) = &self.signing.srs else { return Ok(None) };
        let ForwardPath::Address(address) = &to.path else { return Ok(None) };
        let looks = address.local().get(..3).is_some_and(|start| start.eq_ignore_ascii_case("srs"));
        let Some(Ok(domain)) = address.domain().filter(|_| looks).map(Domain::parse) else { return Ok(None) };
        let Some(domain) = self.look(move |tx| domains::ours(tx, &domain)).await.map_err(temporary)? else {
            return Ok(None);
        };
        let found = srs.way_back(address, domain.as_str()).await.map_err(|error| {
            let error = postroad_mail::Error::Store(error);
            replies::log(&error, "reading a rewritten sender back");
            temporary(replies::mail_failed(&error, self.settings.full_mailbox))
        })?;
        match found {
            WayBack::Ordinary => Ok(None),
            WayBack::To(_) if !null_sender => Err(Refused {
                reply: Reply::new(
                    550,
                    (5, 7, 1),
                    "This address is for notices about mail that was forwarded here, and takes nothing else.",
                ),
                unknown: true,
            }),
            WayBack::To(address) => {
                metrics::counter!("postroad_rewritten_senders_total", "way" => "back").increment(1);
                Ok(Some(ForwardPath::Address(address)))
            }
            WayBack::Nowhere(why) => {
                tracing::info!(recipient = %address, why, "a rewritten sender leads nowhere");
                Ok(None)
            }
        }
    }
}

fn temporary(reply: Reply) -> Refused {
    Refused { reply, unknown: false }
}
