//! Transcripts, both stores, the fake world; a dev-dependency only.
