//! A DNS that answers only in part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use postroad_dns::{Caa, Fixed, Mx, Reply, Soa, Srv, Tlsa};
use postroad_mailauth::body::Hashers;
use postroad_store::Timestamp;

use super::super::DEADLINE;
use super::*;

/// Never answers about what is below `evil.test`.
struct Stalls(Fixed);

impl Stalls {
    fn about<'a, T: Send + 'static>(&'a self, name: &str, answer: Reply<'a, T>) -> Reply<'a, T> {
        if name.ends_with("evil.test") { Box::pin(std::future::pending()) } else { answer }
    }
}

impl Dns for Stalls {
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx> {
        self.about(name, self.0.mx(name))
    }
    fn ipv4<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv4Addr> {
        self.about(name, self.0.ipv4(name))
    }
    fn ipv6<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv6Addr> {
        self.about(name, self.0.ipv6(name))
    }
    fn ptr(&self, address: IpAddr) -> Reply<'_, String> {
        self.0.ptr(address)
    }
    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>> {
        self.about(name, self.0.txt(name))
    }
    fn tlsa<'a>(&'a self, name: &'a str) -> Reply<'a, Tlsa> {
        self.0.tlsa(name)
    }
    fn srv<'a>(&'a self, name: &'a str) -> Reply<'a, Srv> {
        self.0.srv(name)
    }
    fn caa<'a>(&'a self, name: &'a str) -> Reply<'a, Caa> {
        self.0.caa(name)
    }
    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        self.0.ns(name)
    }
    fn cname<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        self.0.cname(name)
    }
    fn soa<'a>(&'a self, name: &'a str) -> Reply<'a, Soa> {
        self.0.soa(name)
    }
}

async fn found(from: &str) -> (Findings, Instant) {
    let dns: Arc<dyn Dns> = Arc::new(Stalls(Fixed::new().with_txt("_dmarc.bank.test", "v=DMARC1; p=reject")));
    let header = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=evil.test; s=s; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n \
         b=AAAA\r\nFrom: ceo@{from}\r\n\r\n"
    );
    let facts = Facts {
        ip: IpAddr::from([192, 0, 2, 1]),
        helo: "mail.evil.test".into(),
        mail_from: Some("x@evil.test".into()),
        receiver: "here.test".into(),
        now: Timestamp(0),
    };
    let mut hashers = Hashers::new();
    let review = crate::header::review(header.as_bytes());
    let signatures = Signatures::of(header.as_bytes(), &review, facts.now, &mut hashers);
    let begun = Instant::now();
    let early = Early::start(Arc::clone(&dns), facts.clone());
    let digests = hashers.finish();
    (Findings::gather(&*dns, early, &facts, signatures, &digests, begun + DEADLINE).await, begun)
}

/// Whoever lets us wait for a key and an SPF record is heard about in time for the policy of whom they pretend to be.
#[tokio::test(start_paused = true)]
async fn waiting_does_not_take_the_time_for_the_policy() {
    let (findings, begun) = found("bank.test").await;
    assert_eq!(findings.mail_from.result, spf::Result::TempError);
    assert_eq!(findings.dkim[0].status, dkim::Status::TempError, "{:?}", findings.dkim);
    assert_eq!(findings.dmarc.result, dmarc::Result::Fail, "{:?}", findings.dmarc);
    assert!(begun.elapsed() <= DEADLINE);
    // And where the policy itself is what is not answered, nothing is known, in the same time.
    let (findings, begun) = found("evil.test").await;
    assert_eq!(findings.dmarc.result, dmarc::Result::TempError);
    assert!(begun.elapsed() <= DEADLINE + std::time::Duration::from_millis(10));
}
