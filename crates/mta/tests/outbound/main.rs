//! Sending, branch by branch: worlds of DNS and remote servers, and what becomes of the mail in them.

mod course;
mod policies;
mod protected;
mod published;
mod shaping;
mod shared;
mod wishes;
mod world;
mod worlds;
