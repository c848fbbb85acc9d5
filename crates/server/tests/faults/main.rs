//! The world breaks while the real program serves: the database restarts, the disk is full or cannot be written,
//! stored bytes are damaged, the object store is gone, a client wants more than there is, sockets and
//! certificates change under way.
//!
//! Each time three things must hold: the client gets a clear answer that it may try again (or why not), the log
//! says what to do, and when the cause is gone the service is whole again with everything that was acknowledged.

mod blob;
mod certificates;
mod client;
mod database;
mod disk;
mod handover;
mod large;
mod limits;
mod object_store;
mod proxy;
mod world;
