//! RFC 5322 and MIME: parse once, as a stream, into envelope, structure, text and threading keys; build.
