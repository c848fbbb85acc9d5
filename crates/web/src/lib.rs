//! HTTP: health, metrics, a page that says what this is, and who may do what (OAuth 2.0, OpenID Connect, the pages for
//! logging in and for sessions and devices). Served over `net`'s listeners, so that limits, TLS and
//! the PROXY protocol are the same as for mail.
//!
//! It knows no mail protocol; its pages change nothing but who may come in, and tell strangers no more than whether the server is
//! well: reasons, versions and numbers are for loopback and the networks that the settings name. Beside them stands what gets
//! certificates from an authority ([`acme`]), whose questions come in over HTTP.
//!
//! Standards: RFC 9110 and 9112 (HTTP/1.1, through hyper), the Prometheus text format 0.0.4.

pub mod acme;
pub mod autoconfig;
mod clear;
mod gather;
mod health;
pub mod metrics;
mod oauth;
mod page;
mod pages;
mod qr;
mod serve;
mod site;
mod sts;

pub use metrics::Recorder;
pub use oauth::{OauthSettings, Provider, Registration};
pub use serve::serve;
pub use site::{About, ServiceLine, Site};
