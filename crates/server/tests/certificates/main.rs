//! Certificates against a real authority (pebble) that really looks: over HTTP, over TLS and in DNS.
//!
//! What nobody here can wait for (ninety days) is a clock that the test moves; pebble's own clock is the day's.

mod failures;
mod nodes;
mod program;
mod renewal;
mod ways;
mod window;
mod world;
