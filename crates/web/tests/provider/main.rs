//! Letting programs in, over HTTP: what browsers and programs really send, and what attackers do.

#![allow(missing_docs)]

mod attacks;
mod flows;
mod fuzz;
mod steps;
mod world;
