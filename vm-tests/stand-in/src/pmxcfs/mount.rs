//! The mount: requests of the kernel, answered from the state as libfuse 2 answers them for pmxcfs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::pmxcfs::state::{Attributes, Kind, State, Thing};
use crate::pmxcfs::tree::ROOT;
use crate::pmxcfs::virtual_files::Virtual;

/// How long the kernel may believe a name and attributes: libfuse's default.
const BELIEVE: Duration = Duration::from_secs(1);
/// Numbers of the kernel: 1 is the top, then the virtual entries, from here on those of the tree.
const FIRST: u64 = 100;
/// The largest write of one request: libfuse 2 with `big_writes`.
const LARGEST_WRITE: u32 = 128 * 1024;
/// Block of statfs and of sizes.
const BLOCK: u64 = 4096;
/// Size of the file system that statfs tells.
const TOTAL: u64 = 128 * 1024 * 1024;
/// Inodes that statfs tells.
const INODES: u64 = 256 * 1024;

/// A mounted pmxcfs.
pub struct Mounted {
    state: Arc<Mutex<State>>,
    group: u32,
    listings: Mutex<Listings>,
}

/// What each open directory showed when its reading began.
#[derive(Default)]
struct Listings {
    next: u64,
    open: BTreeMap<u64, Vec<(Thing, Kind, Vec<u8>)>>,
}

impl Mounted {
    /// Everything belongs to root and this group.
    pub fn new(state: Arc<Mutex<State>>, group: u32) -> Self {
        Self { state, group, listings: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn attr(&self, attributes: &Attributes) -> FileAttr {
        let time = UNIX_EPOCH + Duration::from_secs(u64::from(attributes.mtime));
        let virtual_file = matches!(attributes.thing, Thing::Virtual(_));
        FileAttr {
            ino: INodeNo(number(attributes.thing)),
            size: attributes.size,
            blocks: if virtual_file { 0 } else { attributes.size.div_ceil(BLOCK) },
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: file_type(attributes.kind),
            perm: attributes.mode,
            nlink: if attributes.kind == Kind::Directory { 2 } else { 1 },
            uid: 0,
            gid: self.group,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn entry(&self, outcome: Result<Attributes, nix::errno::Errno>, reply: ReplyEntry) {
        match outcome {
            Ok(attributes) => reply.entry(&BELIEVE, &self.attr(&attributes), Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn attributes(&self, outcome: Result<Attributes, nix::errno::Errno>, reply: ReplyAttr) {
        match outcome {
            Ok(attributes) => reply.attr(&BELIEVE, &self.attr(&attributes)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn change(
        &self,
        thing: Thing,
        mode: Option<u32>,
        owner: (Option<u32>, Option<u32>),
        size: Option<u64>,
        times: (Option<TimeOrNow>, Option<TimeOrNow>),
    ) -> Result<Attributes, nix::errno::Errno> {
        let mut state = self.state();
        if let Some(mode) = mode {
            state.check_mode(thing, mode)?;
        }
        if owner.0.is_some_and(|user| user != 0) || owner.1.is_some_and(|group| group != self.group) {
            return Err(nix::errno::Errno::EPERM);
        }
        if let Some(size) = size {
            state.truncate(thing, size, now())?;
        }
        // libfuse 2 passes times on together only.
        if let (Some(_), Some(mtime)) = times {
            let mtime = match mtime {
                TimeOrNow::SpecificTime(time) => seconds(time),
                TimeOrNow::Now => now(),
            };
            state.set_time(thing, mtime, now())?;
        }
        state.attributes(thing)
    }
}

impl Filesystem for Mounted {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let _ = config.set_max_write(LARGEST_WRITE);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.state().lookup(thing(parent), name.as_bytes());
        self.entry(found, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.state().attributes(thing(ino));
        self.attributes(found, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.change(thing(ino), mode, (uid, gid), size, (atime, mtime));
        self.attributes(changed, reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.state().target(thing(ino)) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::ENOSYS);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.state().make(thing(parent), name.as_bytes(), Kind::Directory, now());
        self.entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.state().remove(thing(parent), name.as_bytes()), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.state().remove(thing(parent), name.as_bytes()), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            reply.error(Errno::EINVAL);
            return;
        }
        let (from, to) = ((thing(parent), name.as_bytes()), (thing(newparent), newname.as_bytes()));
        empty(self.state().rename(from, to, now()), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.state().open(thing(ino)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut state = self.state();
        let made = state.make(thing(parent), name.as_bytes(), Kind::File, now()).and_then(|attributes| {
            state.open(attributes.thing)?;
            Ok(attributes)
        });
        match made {
            Ok(attributes) => reply.created(
                &BELIEVE,
                &self.attr(&attributes),
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().read(thing(ino), offset, size) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.state().write(thing(ino), offset, data, now()) {
            Ok(count) => reply.written(count),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.state().release(thing(ino));
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut listings = lock(&self.listings);
        listings.next += 1;
        reply.opened(FileHandle(listings.next), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut listings = lock(&self.listings);
        if offset == 0 {
            listings.open.insert(fh.0, self.state().names(thing(ino)));
        }
        let listing = listings.open.get(&fh.0).map(Vec::as_slice).unwrap_or_default();
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, (thing, kind, name)) in (offset + 1..).zip(listing.iter().skip(first)) {
            if reply.add(INodeNo(number(*thing)), next, file_type(*kind), OsStr::from_bytes(name)) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        lock(&self.listings).open.remove(&fh.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (files, bytes) = self.state().tree().totals();
        let blocks = TOTAL / BLOCK;
        let free = blocks.saturating_sub(bytes.div_ceil(BLOCK));
        let block = u32::try_from(BLOCK).unwrap_or(u32::MAX);
        reply.statfs(blocks, free, free, INODES, INODES.saturating_sub(files), block, 256, block);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty(outcome: Result<(), nix::errno::Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

fn errno(error: nix::errno::Errno) -> Errno {
    Errno::from_i32(error as i32)
}

fn thing(ino: INodeNo) -> Thing {
    match ino.0 {
        0 | 1 => Thing::Entry(ROOT),
        number if number < FIRST => {
            Virtual::numbered(number - 2).map_or(Thing::Entry(u64::MAX), Thing::Virtual)
        }
        number => Thing::Entry(number - FIRST),
    }
}

fn number(thing: Thing) -> u64 {
    match thing {
        Thing::Entry(ROOT) => 1,
        Thing::Entry(inode) => FIRST.saturating_add(inode),
        Thing::Virtual(entry) => entry.number() + 2,
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Link => FileType::Symlink,
    }
}

/// Seconds since 1970.
pub fn now() -> u32 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    u32::try_from(since).unwrap_or(u32::MAX)
}
