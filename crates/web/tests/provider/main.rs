//! Letting programs in, over HTTP: what browsers and programs really send, and what attackers do.

#![allow(missing_docs)]

mod attacks;
mod chromium;
mod flows;
mod fuzz;
mod passkeys;
mod steps;
mod world;
