//! Fields of tags, folded: what our own signatures look like.

/// A field under way.
pub(crate) struct Folded {
    out: String,
    /// Where the current line starts.
    line: usize,
    first: bool,
    /// The current line will be longer than it looks.
    after_signature: bool,
}

/// Columns of a line (RFC 5322 §2.1.1 recommends no more than 78).
const WIDTH: usize = 76;
/// Columns of a line of base64 with its `b=`.
pub(crate) const BASE64_WIDTH: usize = 72;

impl Folded {
    pub(crate) fn new(name: &str) -> Folded {
        Folded { out: format!("{name}:"), line: 0, first: true, after_signature: false }
    }

    /// `tag=value`, folded before it where it does not fit.
    pub(crate) fn tag(&mut self, tag: &str, value: &str) {
        self.separate();
        self.word(&format!("{tag}={value}"));
    }

    /// `h=a:b:c`, folded between the names only if they do not fit on a line of their own.
    pub(crate) fn names(&mut self, tag: &str, names: &[&str]) {
        let length: usize = names.iter().map(|name| name.len() + 1).sum();
        if tag.len() + length + 2 < WIDTH {
            return self.tag(tag, &names.join(":"));
        }
        self.tag(tag, names.first().copied().unwrap_or_default());
        for name in names.iter().skip(1) {
            self.out.push(':');
            if self.column() + name.len() + 1 > WIDTH {
                self.fold();
            }
            self.out.push_str(name);
        }
    }

    /// `b=`, on a line of its own, with nothing in it: what is signed. Gives where the value goes.
    pub(crate) fn signature(&mut self, tag: &str) -> usize {
        self.separate();
        self.fold();
        self.out.push_str(tag);
        self.out.push('=');
        self.after_signature = true;
        self.out.len()
    }

    /// The field so far, without line end.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.out.as_bytes()
    }

    /// Puts a signature where [`Folded::signature`] left room, in lines of `width` columns, and ends the field.
    pub(crate) fn finish(mut self, at: usize, base64: &str, width: usize) -> String {
        let mut lines = String::with_capacity(base64.len() + base64.len() / 16);
        let mut room = width - 2;
        for (index, c) in base64.chars().enumerate() {
            if room == 0 && index > 0 {
                lines.push_str("\r\n ");
                room = width;
            }
            lines.push(c);
            room -= 1;
        }
        self.out.insert_str(at, &lines);
        self.out.push_str("\r\n");
        self.out
    }

    /// What ends the last tag.
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(';');
        }
    }

    fn word(&mut self, word: &str) {
        // One column is for the `;` or `:` behind it.
        if std::mem::take(&mut self.after_signature) || self.column() + 1 + word.len() + 1 > WIDTH {
            self.fold();
        } else {
            self.out.push(' ');
        }
        self.out.push_str(word);
    }

    fn fold(&mut self) {
        self.out.push_str("\r\n ");
        self.line = self.out.len() - 1;
    }

    fn column(&self) -> usize {
        self.out.len() - self.line
    }
}
