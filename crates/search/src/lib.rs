//! Words for search, without SQL: what the text of a message is, how texts are compared, and what is kept of a text so that
//! most messages need not be read to know that a text is not in them.
//!
//! - [`walk`]: the text of a message, piece by piece, for whoever decides and for whoever indexes: the same text for both.
//! - [`office`]: the text of documents that are attached (OOXML, OpenDocument), bounded.
//! - [`fold`]: texts as they are compared: without case, and for fuzzy search without diacritics.
//! - [`Signature`]: which letter groups are in a text, in 2 KB. [`Grams`]: which of them a text to look for must have.
//! - [`slices`]: a thousand signatures turned on their side, so that a search reads only the groups that it asks about.
//! - [`fuzzy`]: words and prefixes of words, and how well a text matches them (RFC 6203).
//!
//! A signature proposes and never decides: it may say that a text could be there when it is not, and never the reverse,
//! whichever of our ways of comparing decides.
//!
//! What it never does: IO, a clock, SQL. Hostile input costs at most what the constants allow.

pub mod fold;
pub mod fuzzy;
mod grams;
pub mod office;
pub mod slices;
pub mod walk;

pub use grams::{BUCKETS, Field, Grams, Signature};
pub use walk::{Place, Walk};

/// The version of everything that goes into a signature: what was indexed by another one is indexed anew.
pub const VERSION: i64 = 1;
