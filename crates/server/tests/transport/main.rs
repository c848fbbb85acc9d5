//! Mail that travels verified, end to end: the real program, signed zones of a real name server behind a real validating
//! resolver, real Postfix on the other side with certificates made here, and fakes that attack.

mod dane;
mod harbour;
mod incoming;
mod mta_sts;
#[path = "../outbound/talk.rs"]
#[allow(dead_code)]
mod talk;
#[path = "../outbound/town.rs"]
#[allow(dead_code)]
mod town;
