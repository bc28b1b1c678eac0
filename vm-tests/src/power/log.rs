//! The log of a disk's writes, in the format of the kernel's dm-log-writes, as QEMU's blklogwrites writes it.
//!
//! A super block, then one header for each request, in a sector of its own, with the data behind it. All numbers are
//! little-endian; addresses on the disk are in sectors of the log's own size.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// A request larger than this is damage: the guest's limit is far lower.
const LARGEST: u64 = 1 << 30;

/// One request of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where on the disk, in bytes.
    pub offset: u64,
    /// How much, in bytes; 0 for a flush alone.
    pub length: u64,
    /// Where the data lies in the log, in bytes.
    pub data: u64,
    /// All that was complete before it is durable once it is.
    pub flush: bool,
    /// The contents are given up; there is no data.
    pub discard: bool,
}

/// A log that was read.
pub struct Log {
    file: File,
    /// In the order in which the guest made them.
    pub requests: Vec<Request>,
}

impl Log {
    /// Reads the headers of all requests that the super block counts.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let requests = requests(&file).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { file, requests })
    }

    /// The data of a write.
    pub fn data(&self, request: &Request) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(request.length)?];
        self.file.read_exact_at(&mut bytes, request.data).context("reading data from the log of writes")?;
        Ok(bytes)
    }

    /// The places of all flushes.
    pub fn flushes(&self) -> Vec<usize> {
        let flush = |(place, request): (usize, &Request)| request.flush.then_some(place);
        self.requests.iter().enumerate().filter_map(flush).collect()
    }
}

fn requests(file: &File) -> Result<Vec<Request>> {
    let end = file.metadata().context("measuring it")?.len();
    let [magic, version, count] = numbers::<3>(file, 0)?;
    ensure!(magic == MAGIC, "it is no log of writes (magic {magic:#x})");
    ensure!(version == VERSION, "it has version {version}");
    let mut size = [0; 4];
    file.read_exact_at(&mut size, 24).context("reading the super block")?;
    let sector = u64::from(u32::from_le_bytes(size));
    ensure!(sector.is_power_of_two() && (512..=1 << 23).contains(&sector), "its sectors have {sector} bytes");
    let mut place = sector;
    let mut requests = Vec::new();
    for number in 0..count {
        let request = request(file, place, sector).with_context(|| format!("request {number} of {count}"))?;
        place = request.data + if request.discard { 0 } else { request.length };
        ensure!(place <= end, "request {number} of {count} ends at {place}, the log at {end}");
        requests.push(request);
    }
    Ok(requests)
}

fn request(file: &File, place: u64, sector: u64) -> Result<Request> {
    let [at, sectors, flags, inline] = numbers::<4>(file, place)?;
    if flags & !(FLUSH | DISCARD) != 0 || inline != 0 {
        bail!("it has flags {flags:#x} and {inline} bytes in its header, which QEMU never writes");
    }
    let length = sectors.checked_mul(sector).filter(|length| *length <= LARGEST || flags & DISCARD != 0);
    let length = length.with_context(|| format!("it has {sectors} sectors"))?;
    let offset = at.checked_mul(sector).context("it lies beyond the end of every disk")?;
    Ok(Request {
        offset,
        length,
        data: place + sector,
        flush: flags & FLUSH != 0,
        discard: flags & DISCARD != 0,
    })
}

fn numbers<const N: usize>(file: &File, place: u64) -> Result<[u64; N]> {
    let mut numbers = [0; N];
    for (position, number) in numbers.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        let offset = place + 8 * u64::try_from(position)?;
        file.read_exact_at(&mut bytes, offset).context("reading a header")?;
        *number = u64::from_le_bytes(bytes);
    }
    Ok(numbers)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A log of writes of one sector with one value each (its number), and of flushes.
    pub fn of(requests: &[(u64, Option<u8>)]) -> Log {
        let sectors: Vec<(u64, [u8; 512])> =
            requests.iter().map(|(place, value)| (*place, [value.unwrap_or_default(); 512])).collect();
        let entries: Vec<([u64; 4], &[u8])> = requests
            .iter()
            .zip(&sectors)
            .map(|((_, value), (place, data))| match value {
                Some(_) => ([*place, 1, 0, 0], data.as_slice()),
                None => ([0, 0, FLUSH, 0], &[] as &[u8]),
            })
            .collect();
        Log::open(log(512, entries.len() as u64, &entries).path()).unwrap()
    }

    fn log(sector: u32, count: u64, entries: &[([u64; 4], &[u8])]) -> tempfile::NamedTempFile {
        let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(sector as usize), 0);
        let mut bytes = Vec::new();
        for number in [MAGIC, VERSION, count] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(sector.to_le_bytes());
        pad(&mut bytes);
        for (header, data) in entries {
            header.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            pad(&mut bytes);
            bytes.extend(*data);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn writes_flushes_and_discards_are_read_in_order() {
        for sector in [512_u32, 4096] {
            let data = vec![7; 2 * sector as usize];
            let file =
                log(sector, 3, &[([9, 2, 0, 0], &data), ([0, 0, FLUSH, 0], &[]), ([4, 8, DISCARD, 0], &[])]);
            let log = Log::open(file.path()).unwrap();
            let sector = u64::from(sector);
            assert_eq!(log.flushes(), [1]);
            let first = &log.requests[0];
            assert_eq!((first.offset, first.length), (9 * sector, 2 * sector));
            assert_eq!(log.data(first).unwrap(), data);
            let last = &log.requests[2];
            assert!(last.discard && !last.flush);
            assert_eq!((last.offset, last.length), (4 * sector, 8 * sector));
        }
    }

    #[test]
    fn what_the_super_block_does_not_count_is_not_there() {
        let file = log(512, 1, &[([0, 0, FLUSH, 0], &[]), ([0, 0, FLUSH, 0], &[])]);
        assert_eq!(Log::open(file.path()).unwrap().requests.len(), 1);
    }

    #[test]
    fn damage_is_an_error() {
        for (count, entries) in [
            (2, vec![([0_u64, 0, FLUSH, 0], &[] as &[u8])]),
            (1, vec![([0, 4, 0, 0], &[1; 512])]),
            (1, vec![([0, u64::MAX, 0, 0], &[])]),
            (1, vec![([u64::MAX, 1, DISCARD, 0], &[])]),
            (1, vec![([0, 0, 64, 0], &[])]),
        ] {
            assert!(Log::open(log(512, count, &entries).path()).is_err(), "{count} {entries:?}");
        }
        assert!(Log::open(log(500, 0, &[]).path()).is_err());
    }
}
