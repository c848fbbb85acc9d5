//! The message: DATA with dots, or BDAT in chunks (RFC 5321 §4.1.1.4, RFC 3030 §2).

use super::Client;
use super::run::{Awaited, Sending, Standing};

impl Client {
    /// The next piece of the message, of any size; asked for by [`super::Step::NeedBody`], else ignored.
    pub fn body(&mut self, bytes: &[u8]) {
        let Some(run) = &mut self.run else { return };
        match run.sending {
            Sending::Not => {}
            Sending::Data => run.encoder.feed(bytes, &mut self.output),
            Sending::Chunks => {
                run.encoder.feed(bytes, &mut run.chunk);
                if run.chunk.len() >= CHUNK {
                    self.send_chunk(false);
                }
            }
        }
    }

    /// The message is complete.
    pub fn body_end(&mut self) {
        let Some(run) = &mut self.run else { return };
        match run.sending {
            Sending::Not => return,
            Sending::Data => {
                run.encoder.finish(&mut self.output);
                self.output.extend_from_slice(b".\r\n");
            }
            Sending::Chunks => {
                run.encoder.finish(&mut run.chunk);
                self.send_chunk(true);
            }
        }
        let Some(run) = &mut self.run else { return };
        (run.sending, run.complete) = (Sending::Not, true);
        if !self.settings.lmtp {
            run.waiting.push_back(Awaited::Message);
            return;
        }
        for (number, standing) in run.standings.iter().enumerate() {
            if *standing == Standing::Accepted {
                run.waiting.push_back(Awaited::MessageFor(number));
            }
        }
    }

    fn send_chunk(&mut self, last: bool) {
        let Some(run) = &mut self.run else { return };
        let mark = if last { " LAST" } else { "" };
        self.output.extend_from_slice(format!("BDAT {}{mark}\r\n", run.chunk.len()).as_bytes());
        self.output.append(&mut run.chunk);
        if !last {
            run.waiting.push_back(Awaited::Chunk);
        }
    }
}

/// Octets after which a chunk is sent. A piece of the message that is larger makes a larger chunk.
const CHUNK: usize = 128 * 1024;
