//! The file of a table's rows, in the order of its key.
//!
//! `PRROWS01`, a block with the table's name and columns, blocks of rows, the end with their number.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use postroad_store::dump::{Column, Kind, Table, Value};

use super::block::{self, Next};
use super::folder::open_file;
use super::hashing::HashingFile;
use super::{Error, Result};

/// Writes the file of a table.
pub struct RowsWriter {
    file: HashingFile,
    waiting: Vec<u8>,
    content: blake3::Hasher,
    count: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsSum {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Its BLAKE3.
    pub hash: String,
    /// BLAKE3 of the rows: the same for the same rows, in whatever database they are.
    pub content: String,
}

impl RowsWriter {
    /// A new file. Errors: `File`, also when it is there.
    pub fn create(path: &Path, table: &Table) -> Result<RowsWriter> {
        let mut file = HashingFile::create(path)?;
        file.write(MAGIC)?;
        let mut head = Vec::new();
        block::encode_row(&describe(table), &mut head);
        file.write(&block::pack(&head).map_err(|error| Error::file(path, &error))?)?;
        Ok(RowsWriter { file, waiting: Vec::new(), content: blake3::Hasher::new(), count: 0 })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[Value]) -> Result<()> {
        let before = self.waiting.len();
        block::encode_row(row, &mut self.waiting);
        if self.waiting.len() > block::PLAIN_MAX {
            // The row is alone in its block then.
            let row = self.waiting.split_off(before);
            self.flush()?;
            self.waiting = row;
        }
        self.count += 1;
        if self.waiting.len() >= block::TARGET { self.flush() } else { Ok(()) }
    }

    /// Ends the file, on the disk.
    pub fn finish(mut self) -> Result<RowsSum> {
        self.flush()?;
        self.file.write(&block::end(self.count))?;
        let content = self.content.finalize().to_hex().to_string();
        let sum = self.file.finish()?;
        Ok(RowsSum { rows: self.count, size: sum.size, hash: sum.hash.to_hex().to_string(), content })
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.waiting.len() > block::PLAIN_MAX {
            return Err(Error::File(format!("{}: a row is larger than any can be", self.file.path().display())));
        }
        self.content.update(&self.waiting);
        let block = block::pack(&self.waiting).map_err(|error| Error::file(self.file.path(), &error))?;
        self.waiting.clear();
        self.file.write(&block)
    }
}

/// Reads the file of a table, some rows at a time.
pub struct RowsReader {
    from: BufReader<File>,
    path: PathBuf,
    table: Table,
    read: u64,
    ended: bool,
    /// A block could not be read.
    gap: bool,
}

/// What a file has, when it is read around what is damaged.
pub(super) enum Readable {
    /// A row.
    Row(Vec<Value>),
    /// Rows are missing here.
    Gap(Error),
}

impl RowsReader {
    /// Errors: `Damaged` when it is no such file, or not of this table.
    pub fn open(path: &Path, table: &Table) -> Result<RowsReader> {
        let file = open_file(path)?;
        let mut from = BufReader::with_capacity(256 * 1024, file);
        let mut magic = [0; MAGIC.len()];
        if from.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Err(Error::damaged(path, "this is not a file of rows"));
        }
        let head = match block::next(&mut from) {
            Ok(Next::Rows(head)) => head,
            Ok(Next::End(_)) => return Err(Error::damaged(path, "it says of no table")),
            Err(what) => return Err(Error::damaged(path, what)),
        };
        let mut expected = Vec::new();
        block::encode_row(&describe(table), &mut expected);
        if head != expected {
            return Err(Error::damaged(path, format!("it has other columns than the table {}", table.name)));
        }
        Ok(RowsReader { from, path: path.to_owned(), table: table.clone(), read: 0, ended: false, gap: false })
    }

    /// The rows of the next block; none at the end.
    pub fn next_rows(&mut self) -> Result<Vec<Vec<Value>>> {
        let damaged = |what: &dyn std::fmt::Display| Error::damaged(&self.path, what);
        if self.ended {
            return Ok(Vec::new());
        }
        let plain = match block::next(&mut self.from) {
            Ok(Next::Rows(plain)) => plain,
            Ok(Next::End(count)) => {
                let more = self.from.read(&mut [0]).map_err(|error| Error::file(&self.path, &error))?;
                if (count != self.read && !self.gap) || count < self.read || more != 0 {
                    return Err(damaged(&"its end is not where it should be"));
                }
                self.ended = true;
                return Ok(Vec::new());
            }
            Err(what) => return Err(damaged(&what)),
        };
        let (mut rest, mut rows) = (plain.as_slice(), Vec::new());
        while !rest.is_empty() {
            // A few bytes can unpack to very many rows, each of which costs more than its bytes.
            if plain.len() - rest.len() >= block::TARGET {
                return Err(damaged(&"a block has more rows than any that is written"));
            }
            let row = block::decode_row(&mut rest, self.table.columns.len()).filter(|row| self.table.fits(row));
            rows.push(row.ok_or_else(|| damaged(&"a row cannot be read"))?);
        }
        self.read += rows.len() as u64;
        Ok(rows)
    }

    /// Shows each row that can be read, and each place where some cannot, until the end or `false`.
    ///
    /// Every block has its own checksum, so what follows a damaged one is as good as ever, and where the length of a
    /// block is damaged nothing that follows is taken for one.
    pub(super) fn each_readable(mut self, mut see: impl FnMut(Readable) -> Result<bool>) -> Result<()> {
        loop {
            let rows = match self.next_rows() {
                Ok(rows) => rows,
                Err(error @ Error::Damaged(_)) => {
                    self.gap = true;
                    let ended = self.from.fill_buf().map_err(|error| Error::file(&self.path, &error))?.is_empty();
                    if !see(Readable::Gap(error))? || ended {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                if !see(Readable::Row(row))? {
                    return Ok(());
                }
            }
        }
    }

    /// Shows each row until the end or `false`.
    pub fn each(mut self, mut row: impl FnMut(Vec<Value>) -> Result<bool>) -> Result<()> {
        loop {
            let rows = self.next_rows()?;
            if rows.is_empty() {
                return Ok(());
            }
            for one in rows {
                if !row(one)? {
                    return Ok(());
                }
            }
        }
    }
}

/// A table as the first block has it.
fn describe(table: &Table) -> Vec<Value> {
    let mut words = vec![Value::Text(table.name.clone())];
    for Column { name, kind } in &table.columns {
        let kind = match kind {
            Kind::Int => "int",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
        };
        words.push(Value::Text(format!("{name} {kind}")));
    }
    words
}

const MAGIC: &[u8; 8] = b"PRROWS01";
