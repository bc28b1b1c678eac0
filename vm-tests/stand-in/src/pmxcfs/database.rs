//! What pmxcfs keeps on the disk: `config.db`, and `config.db-wal` with the transactions since the last checkpoint.
//!
//! The real files are SQLite's in WAL mode with `synchronous=NORMAL`: a transaction is appended without a flush, so a
//! power cut loses the last ones unless somebody flushed the file. The format here is our own, the durability is not.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Size of the log at which it is folded into the database: a thousand pages, as SQLite does.
const CHECKPOINT: u64 = 1000 * 4096;

/// One change of the database.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(any(test, debug_assertions), derive(Debug))]
pub enum Record {
    /// An entry is there, with the content it had.
    Put {
        /// Its inode.
        inode: u64,
        /// Inode of its directory.
        parent: u64,
        /// Version of the tree.
        version: u64,
        /// Seconds since 1970.
        mtime: u32,
        /// Its name.
        name: Vec<u8>,
        /// True for directories.
        directory: bool,
    },
    /// A file has this size, and these bytes at this place.
    Content {
        /// Its inode.
        inode: u64,
        /// Its size now.
        size: u64,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// An entry is gone.
    Delete {
        /// Its inode.
        inode: u64,
    },
}

/// One entry of the database.
pub struct Row {
    /// Inode of its directory.
    pub parent: u64,
    /// Version of the tree that wrote it.
    pub version: u64,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// Bytes of a file, None for directories.
    pub content: Option<Vec<u8>>,
}

/// The entries by inode.
pub type Rows = BTreeMap<u64, Row>;

/// The open files.
pub struct Database {
    directory: PathBuf,
    rows: Rows,
    log: File,
    length: u64,
}

impl Database {
    /// Opens the database in this directory, makes it if there is none, and drops a transaction that was cut off.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut rows = Rows::new();
        replay(&read(&directory.join("config.db"))?, &mut rows);
        let log = directory.join("config.db-wal");
        let length = replay(&read(&log)?, &mut rows);
        // SQLite's index of the log; nobody but SQLite reads it.
        OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("config.db-shm"))?;
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
        log.set_len(length)?;
        let mut database = Self { directory: directory.to_owned(), rows, log, length };
        if !directory.join("config.db").exists() {
            database.checkpoint()?;
        }
        Ok(database)
    }

    /// True if there is a database in this directory.
    pub fn exists(directory: &Path) -> bool {
        directory.join("config.db").exists()
    }

    /// A copy of the entries.
    pub fn rows(&self) -> Rows {
        let copy = |row: &Row| Row {
            parent: row.parent,
            version: row.version,
            mtime: row.mtime,
            name: row.name.clone(),
            content: row.content.clone(),
        };
        self.rows.iter().map(|(inode, row)| (*inode, copy(row))).collect()
    }

    /// Appends a transaction, without a flush.
    pub fn commit(&mut self, records: Vec<Record>) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let frame = frame(&records);
        self.log.write_all(&frame)?;
        self.length += u64::try_from(frame.len()).unwrap_or(u64::MAX);
        for record in records {
            apply(record, &mut self.rows);
        }
        if self.length > CHECKPOINT { self.checkpoint() } else { Ok(()) }
    }

    /// Folds the log into the database and flushes both.
    pub fn checkpoint(&mut self) -> io::Result<()> {
        self.log.sync_all()?;
        let target = self.directory.join("config.db");
        let temporary = self.directory.join("config.db.new");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
        for (inode, row) in &self.rows {
            file.write_all(&frame(&records(*inode, row)))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        File::open(&self.directory)?.sync_all()?;
        self.log.set_len(0)?;
        self.length = 0;
        Ok(())
    }

    /// Ends in order: everything is in `config.db`, and the log is gone, as SQLite leaves it.
    pub fn close(mut self) -> io::Result<()> {
        self.checkpoint()?;
        for name in ["config.db-wal", "config.db-shm"] {
            fs::remove_file(self.directory.join(name))?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

fn records(inode: u64, row: &Row) -> Vec<Record> {
    let mut records = vec![Record::Put {
        inode,
        parent: row.parent,
        version: row.version,
        mtime: row.mtime,
        name: row.name.clone(),
        directory: row.content.is_none(),
    }];
    if let Some(bytes) = &row.content {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        records.push(Record::Content { inode, size, offset: 0, bytes: bytes.clone() });
    }
    records
}

fn apply(record: Record, rows: &mut Rows) {
    match record {
        Record::Put { inode, parent, version, mtime, name, directory } => {
            let content = match rows.remove(&inode) {
                Some(row) => row.content,
                None if directory => None,
                None => Some(Vec::new()),
            };
            rows.insert(inode, Row { parent, version, mtime, name, content });
        }
        Record::Content { inode, size, offset, bytes } => {
            let Some(content) = rows.get_mut(&inode).and_then(|row| row.content.as_mut()) else { return };
            content.resize(usize::try_from(size).unwrap_or(0), 0);
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            if let Some(place) = content.get_mut(start..start.saturating_add(bytes.len())) {
                place.copy_from_slice(&bytes);
            }
        }
        Record::Delete { inode } => {
            rows.remove(&inode);
        }
    }
}

/// A transaction as it lies in a file: length, checksum, records.
fn frame(records: &[Record]) -> Vec<u8> {
    let mut body = Vec::new();
    for record in records {
        encode(record, &mut body);
    }
    let mut frame = u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes().to_vec();
    frame.extend(checksum(&body).to_le_bytes());
    frame.extend(body);
    frame
}

/// Applies every whole transaction and gives the length of them all.
fn replay(bytes: &[u8], rows: &mut Rows) -> u64 {
    let mut reader = Reader(bytes);
    let mut whole = 0;
    while let Some(records) = next_frame(&mut reader) {
        for record in records {
            apply(record, rows);
        }
        whole = bytes.len() - reader.0.len();
    }
    u64::try_from(whole).unwrap_or(0)
}

fn next_frame(reader: &mut Reader) -> Option<Vec<Record>> {
    let length = reader.number().filter(|length| *length > 0)?;
    let sum = reader.number()?;
    let body = reader.take(length)?;
    if checksum(body) != sum {
        return None;
    }
    let mut inner = Reader(body);
    let mut records = Vec::new();
    while !inner.0.is_empty() {
        records.push(decode(&mut inner)?);
    }
    Some(records)
}

fn encode(record: &Record, into: &mut Vec<u8>) {
    let mut put = |tag: u64, numbers: &[u64], bytes: &[u8]| {
        into.extend(tag.to_le_bytes());
        for number in numbers {
            into.extend(number.to_le_bytes());
        }
        into.extend(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        into.extend(bytes);
    };
    match record {
        Record::Put { inode, parent, version, mtime, name, directory } => {
            put(1, &[*inode, *parent, *version, u64::from(*mtime), u64::from(*directory)], name);
        }
        Record::Content { inode, size, offset, bytes } => put(2, &[*inode, *size, *offset], bytes),
        Record::Delete { inode } => put(3, &[*inode], b""),
    }
}

fn decode(reader: &mut Reader) -> Option<Record> {
    match reader.number()? {
        1 => Some(Record::Put {
            inode: reader.number()?,
            parent: reader.number()?,
            version: reader.number()?,
            mtime: u32::try_from(reader.number()?).ok()?,
            directory: reader.number()? == 1,
            name: reader.bytes()?,
        }),
        2 => Some(Record::Content {
            inode: reader.number()?,
            size: reader.number()?,
            offset: reader.number()?,
            bytes: reader.bytes()?,
        }),
        3 => {
            let inode = reader.number()?;
            reader.bytes()?;
            Some(Record::Delete { inode })
        }
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.number()?;
        self.take(length).map(<[u8]>::to_vec)
    }
}

/// FNV-1a: enough to tell a transaction that was cut off.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
