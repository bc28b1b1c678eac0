//! Faults in the middle of a first boot: signals, killed tools, full and failing disks, damaged state.

use anyhow::Result;

use crate::bench::Bench;
use crate::power::fault::{self, End, Fault, PLAIN};

/// dpkg has unpacked one package and has more to do.
const UNPACKED: &str = "test -e /var/lib/dpkg/info/apt-listchanges.list";
/// dpkg configures.
const CONFIGURING: &str = "grep -qs ' status half-configured [^l]' /var/log/dpkg.log";
/// The intent for the sshd drop-in is on disk.
const IN_FILES: &str =
    "grep -aqs entry=/etc/ssh/sshd_config.d/00-firstlight.conf /var/lib/firstlight/tx/*/journal";
/// The last step of the way but one fails, so that the packages are purged.
const REFUSE: &str = ": > /run/refuse-unattended-upgrades.service";
/// dpkg is removing.
const PURGING: &str = "grep -qs ' remove apt-listchanges' /var/log/dpkg.log";

/// What dpkg reads a package with stands still in the middle of ufw, the first time: a machine may be too fast for anybody to see it.
const STOPS_HALFWAY: &str = r#"cp /usr/bin/dpkg-deb /run/dpkg-deb; cat > /run/halfway << 'END'
#!/bin/sh
case "$*" in *--fsys-tarfile*ufw_*) mkdir /run/once 2> /dev/null ;; *) false ;; esac || exec /run/dpkg-deb "$@"
/run/dpkg-deb "$@" | head -c 150000
while [ -d /proc/$PPID ]; do sleep 0.1; done
END
chmod 755 /run/halfway; mount --bind /run/halfway /usr/bin/dpkg-deb"#;
/// Files of ufw lie beside their names, and the rest of it is still to come.
const HALFWAY: &str = "ls /usr/lib/python3/dist-packages/ufw/*.dpkg-new > /dev/null 2>&1";

/// Signals, killed tools, a second instance.
pub fn processes(bench: &mut Bench) -> Result<()> {
    fault::all(
        bench,
        "fault-processes",
        &[
            Fault {
                name: "SIGTERM to the hook among its files",
                moment: IN_FILES,
                act: "kill $hook",
                ..PLAIN
            },
            Fault {
                name: "SIGTERM to the hook among its packages",
                moment: UNPACKED,
                act: "kill $hook",
                ..PLAIN
            },
            Fault {
                name: "SIGKILL to the hook among its files, then a boot",
                moment: IN_FILES,
                act: "kill -9 $hook",
                codes: &[137],
                ..PLAIN
            },
            Fault {
                name: "SIGKILL to the hook while dpkg goes on, and recovery at once",
                moment: UNPACKED,
                act: "kill -9 $hook; /usr/local/sbin/firstlight recover; echo \"recovered=$?\"",
                codes: &[137],
                ..PLAIN
            },
            Fault {
                name: "dpkg killed with half of a package written",
                before: STOPS_HALFWAY,
                moment: HALFWAY,
                act: "kill_dpkg",
                ..PLAIN
            },
            Fault { name: "dpkg killed while it unpacks", moment: UNPACKED, act: "kill_dpkg", ..PLAIN },
            Fault { name: "dpkg killed while it configures", moment: CONFIGURING, act: "kill_dpkg", ..PLAIN },
            Fault {
                name: "dpkg killed while it purges",
                before: REFUSE,
                moment: PURGING,
                act: "kill_dpkg",
                codes: &[5],
                ..PLAIN
            },
            Fault {
                name: "a second instance",
                moment: UNPACKED,
                act: SECOND,
                codes: &[0],
                end: End::New,
                ..PLAIN
            },
        ],
    )
}

/// What changes something refuses while another one does, and says so; what only looks does not mind.
const SECOND: &str = "for words in 'apply /root/ufw.toml' recover rollback; do \
    said=$(/usr/local/sbin/firstlight $words 2>&1); \
    [ $? = 2 ] && echo \"$said\" | grep -q 'is at work' || { echo \"$words: $said\"; kill -9 $hook; }; done; \
    /usr/local/sbin/firstlight status > /dev/null || [ $? -lt 5 ] || kill -9 $hook";

/// A disk that is full or turns read-only, and no more open files.
pub fn disk(bench: &mut Bench) -> Result<()> {
    fault::all(
        bench,
        "fault-disk",
        &[
            full("a disk without any room", "fill 0", "true", NO_ROOM),
            full("a disk with 64 KiB left", "fill 64", "true", NO_ROOM),
            full("a disk with 1 MiB left", "fill 1024", "true", NO_ROOM),
            full("a disk with 8 MiB left", "fill 8192", "true", NO_ROOM),
            full("a disk that is full once dpkg unpacks", "true", UNPACKED, &[1, 5]),
            full("a disk that is full among the files", "true", IN_FILES, &[0, 1, 5]),
            Fault {
                name: "no more open files among the packages",
                moment: UNPACKED,
                act: "prlimit --pid $hook --nofile=3:3",
                codes: &[1, 5],
                ..PLAIN
            },
            Fault {
                name: "no more open files among the files",
                moment: IN_FILES,
                act: "prlimit --pid $hook --nofile=3:3",
                codes: &[1, 5],
                ..PLAIN
            },
            Fault {
                name: "the disk turns read-only among the packages",
                moment: UNPACKED,
                act: "mount -o remount,abort /",
                codes: &[1, 5],
                ..PLAIN
            },
            Fault {
                name: "the disk turns read-only among the files",
                moment: IN_FILES,
                act: "mount -o remount,abort /",
                codes: &[1, 5],
                ..PLAIN
            },
        ],
    )
}

/// The packages alone need more; 2 where not even the directory for the state can be made.
const NO_ROOM: &[i32] = &[1, 2, 5];

/// A full disk, at the start or at a moment; the remedy is room.
const fn full(
    name: &'static str,
    before: &'static str,
    moment: &'static str,
    codes: &'static [i32],
) -> Fault {
    let act = if let b"true" = before.as_bytes() { "fill 0" } else { "true" };
    Fault { name, before, moment, act, codes, boot: "rm -f /var/tmp/filler", end: End::Either, ..PLAIN }
}

/// The state directory at boot after a crash.
pub fn state(bench: &mut Bench) -> Result<()> {
    const CRASH: Fault = Fault { moment: IN_FILES, act: "kill -9 $hook", ends_there: true, ..PLAIN };
    fault::all(
        bench,
        "fault-state",
        &[
            Fault { name: "a crash, and the state as it was", ..CRASH },
            Fault { name: "the last record is torn", boot: "truncate -s -9 $journal", ..CRASH },
            Fault { name: "the snapshot is gone", boot: "rm /var/lib/firstlight/tx/0001/snapshot", ..CRASH },
            Fault { name: "all state is gone", boot: "rm -r /var/lib/firstlight", end: End::Again, ..CRASH },
            Fault {
                name: "a record in the middle is damaged",
                boot: "printf x | dd of=$journal bs=1 seek=900 conv=notrunc status=none",
                end: End::Refused,
                ..CRASH
            },
            Fault {
                name: "a newer version wrote the journal",
                boot: "first_record s/format=1/format=2/",
                end: End::Refused,
                ..CRASH
            },
            Fault {
                name: "the contents are gone",
                boot: "rm -r /var/lib/firstlight/objects",
                end: End::Refused,
                ..CRASH
            },
        ],
    )
}
