//! The transaction seam: ReadTx, WriteTx, locks, group commit, hub, blobs, migrations, trace; knows no mail.
