//! The scenarios: what a node must be after each of them, and the order they run in.

pub mod hook;
pub mod kept;

mod again;
mod ansible;
mod answers;
mod audit;
mod cut;
mod deadline;
mod deb;
mod device;
mod docs;
mod fault;
mod firewall;
mod first;
mod found;
mod gate;
mod ground;
mod ground_pve;
mod hardening;
mod iso;
mod kills;
mod kind;
mod power;
mod reach;
mod repositories;
mod result;
mod rollback;
mod second_factor;
mod secrets;
mod source;
mod totp_faults;
mod totp_screens;
pub mod totp_users;
mod undo;
mod updates;
mod wizard;

pub use kind::Scenario;
use kind::{long, short};

/// Every scenario. Workers take them in this order: what many wait for comes first, what is short comes last.
pub const ALL: &[Scenario] = &[
    short(
        "ground",
        "the guest without firstlight: open to both sides, no package of ours, legacy iptables",
        ground::open,
    ),
    long(
        "ground-pve",
        "the stand-in for PVE: mount, tools, alternatives, logins, no quorum, down, late, killed, a lost transaction",
        ground_pve::stands_in,
    ),
    long(
        "totp-first-boot",
        "part 3, 1 and 5: users, TOTP for two devices, recovery keys and a token by a first boot, seen, verified, locked, freed (A2 C1-C5 C8 C9)",
        totp_users::unattended,
    ),
    long(
        "totp-refused",
        "part 3, 3 and 4: PVE refuses a code, a lock is held, pmxcfs dies or loses its quorum between calls: put back, said why (C1 J3)",
        totp_faults::refused,
    ),
    long(
        "totp-cuts",
        "part 3, 7: power cut behind a TOTP call, and one that makes pmxcfs lose what was done (C1 C4 J3)",
        totp_faults::cuts,
    ),
    long(
        "totp-rollback",
        "part 3: a realm that demands a factor, and a rollback that leaves what PVE had; then no clock, and on-verify (A2 C1 C3-C7 C9 J3)",
        totp_users::rolled_back,
    ),
    long(
        "totp-screen-text",
        "part 3, QR: a screen of 80x25 with PVE's font, read by zbarimg, logs in (C2)",
        totp_screens::text,
    )
    .own(),
    long(
        "totp-screen-pixels",
        "part 3, QR: a screen of 128x48 with PVE's font, read by zbarimg, logs in (C2)",
        totp_screens::pixels,
    )
    .own(),
    long("ground-power", "snapshots, clock and power cuts of the test bench itself", ground::power),
    short(
        "first-boot",
        "1: unattended through PVE's own unit (A1 A3 A4 A5 A6 B1-B6 E2-E4 H2 J1)",
        first::unattended,
    )
    .committed(),
    short("again", "3: a second apply has an empty plan and touches nothing (J3)", again::empty_plan)
        .committed(),
    short(
        "ssh-audit",
        "ssh-audit fails nothing and warns of curve25519 alone, `strict` passes its policy, and who still logs in (B4)",
        crate::scores::algorithms,
    )
    .committed(),
    short("reboot", "2: all of it survives a reboot, the hook does not run again (E4 J1 J5)", again::reboot)
        .committed(),
    short("rollback", "7: a committed run is taken back whole (J3)", rollback::whole).committed(),
    long(
        "rollback-killed",
        "7: a rollback killed in the middle of the purge is finished without a restart (J3)",
        rollback::killed,
    )
    .committed(),
    long(
        "rollback-kept",
        "7: what somebody changed since is listed and kept, unless --force (J3)",
        rollback::kept,
    )
    .committed(),
    long(
        "undo-run-time",
        "7: after a rollback filter, units, timers, accounts, ids, sudo and AppArmor profiles are as before (A1 E3 J3)",
        undo::run_time,
    ),
    long(
        "undo-built-upon",
        "7: a package and a user that others made since keep what they need (A1 H2 J3)",
        undo::built_upon,
    ),
    short(
        "gate-sshd",
        "4: the gate of a tool that was there fails, nothing is touched (B1 J3 J5)",
        gate::sshd,
    ),
    long(
        "gate-visudo",
        "4: the gate of a tool that came with the packages fails, all is put back (A1 H2 J3)",
        gate::visudo,
    ),
    short(
        "failing-unit",
        "5: a unit refuses to start after files were written, all is put back (H2 J3)",
        gate::unit,
    ),
    short(
        "cut-files",
        "6: power cut when files are written: they are back before the network, then success (J1 J3)",
        cut::in_files,
    ),
    short("cut-packages", "6: power cut in the middle of dpkg, then success (H2 J1 J3)", cut::in_packages),
    long(
        "cut-three-times",
        "6: three power cuts, then it gives up loudly on the old node (J1 J3 J5)",
        cut::three_times,
    ),
    short(
        "power-cuts",
        "the power goes at ten flushes that matter, and between flushes: wholly old or wholly new (J1 J3)",
        power::few,
    )
    .own(),
    short(
        "deadline-killed",
        "SIGKILL in the middle of dpkg: the timer puts the node back without a reboot (J3 J5)",
        deadline::killed,
    ),
    short(
        "confirm",
        "apply over SSH: only a new login of the admin commits (J3 J5)",
        deadline::confirmed,
    ),
    long(
        "confirm-expired",
        "nobody confirms: put back in time whatever the clock does, and by the boot after a power cut (J3 J5)",
        deadline::expired,
    ),
    long(
        "confirm-api",
        "on a node of PVE a login with a TOTP code of the admin commits, the password alone does not (C1 J3 J5)",
        deadline::confirmed_by_pve,
    ),
    long(
        "deadline-hanging",
        "a run that hangs is killed at its deadline with its children, and put back (J3)",
        deadline::hanging,
    ),
    long(
        "unauthorised-source",
        "8: a package source answers 401, the run goes on and says so (H1 H2)",
        source::unauthorised,
    ),
    short("wrong-answers", "9: every wrong answer gets its error and exit 2 (J1 J4)", answers::wrong),
    short(
        "damaged-payload",
        "9: a damaged first-boot executable gives up and touches nothing (J1)",
        answers::damaged,
    ),
    long(
        "answer-firmware",
        "the answer comes as a credential by SMBIOS, and by fw_cfg (J1)",
        found::in_firmware,
    )
    .own(),
    long(
        "answer-sources",
        "the answer lies on a partition, in a file, at a URL; a wrong digest, 404, no server, no network (J1)",
        found::on_the_node,
    ),
    long(
        "power-flushes",
        "the power goes at 200 flushes of a first boot, and between flushes: wholly old or wholly new (J1 J3)",
        power::many,
    ).own(),
    long(
        "power-xfs",
        "the power goes at flushes of a first boot on XFS: wholly old or wholly new (J1 J3)",
        power::xfs,
    ).own(),
    long(
        "power-btrfs",
        "the power goes at flushes of a first boot on btrfs: wholly old or wholly new (J1 J3)",
        power::btrfs,
    ).own(),
    short(
        "fault-processes",
        "signals, killed tools and a second instance in the middle of a run (J1 J3)",
        fault::processes,
    ).own(),
    short("fault-disk", "a disk that is full or turns read-only, no more open files (J1 J3)", fault::disk).own(),
    short(
        "fault-state",
        "state that is torn, gone, damaged or newer at the boot after a crash (J1 J3)",
        fault::state,
    ).own(),
    short(
        "iso",
        "part 6, without a machine: an ISO with PVE's layout is prepared with and without Proxmox's assistant, for network boot, for a web server",
        iso::prepared,
    )
    .own()
    .once(),
    long(
        "iso-pve",
        "part 6: an operator's PVE ISO prepared, installed, hardened, restarted, taken back (A1 B1 D1 I1 J1 J3)",
        iso::real::whole_way,
    )
    .own()
    .once()
    .needs(iso::real::VARIABLE),
    long(
        "ansible",
        "part 6: the playbook on two guests at once, as the admin, whose next login confirms (J3 J5 I1)",
        ansible::guests,
    )
    .committed(),
    long(
        "ansible-native",
        "part 6, without a machine: the same playbook on two mounted nodes at once (J3 J5 I1)",
        ansible::native,
    ).own(),
    long(
        "power-kills-odd",
        "6: QEMU killed at ten of 20 moments of a run: wholly old or wholly new (J1 J3)",
        kills::odd,
    ),
    long(
        "power-kills-even",
        "6: QEMU killed at the other ten of 20 moments of a run: wholly old or wholly new (J1 J3)",
        kills::even,
    ),
    long(
        "repositories",
        "sources of PVE as lines and stanzas, without and with a key: what apt reads, without a network, with a 401, and back (H1 H2 J3)",
        repositories::sources,
    ),
    long(
        "key-pair",
        "a key pair made on the node and handed over in a file logs in; nothing of it is left anywhere else (A3)",
        repositories::key_pair,
    ),
    long(
        "updates-origins",
        "natively: unattended-upgrades --dry-run installs Debian's security updates, Proxmox's on request, no others (H3)",
        updates::origins,
    ).own(),
    short("result", "natively: a server and the node exporter are told, signed, again if need be, without a secret (J5)", result::told).own(),
    short("deb-package", "natively: the Debian package from installation to purge, and its units at work (I2 J3)", deb::life).own(),
    short(
        "reach",
        "a commit is proved by new connections, and nothing of them is left (D1 E3)",
        reach::proved,
    )
    .committed(),
    long(
        "reach-refused",
        "a foreign rule shuts the admin out: put back, and said why (E3 J3 J5)",
        reach::refused,
    ),
    long(
        "reach-live",
        "the only management address of its network is lent while its owner works: undisturbed (E3 J3)",
        reach::live,
    ),
    short(
        "pve-firewall",
        "2: PVE's firewall: its files, its trial before enable: 1, real packets (D1-D9)",
        firewall::guarded,
    ),
    long("pve-kept", "lines of others in PVE's firewall stay, and come back as they were (D1 J3)", firewall::kept),
    long(
        "pve-refused",
        "8: what is refused for PVE's firewall, each with its sentence, nothing touched (D1 D8 J4)",
        firewall::refused,
    ),
    long(
        "pve-waits",
        "3: pmxcfs down, without quorum, and 40 s late: said at once, or waited for (J1)",
        firewall::waited,
    ),
    long(
        "pve-switch",
        "6: PVE's firewall, UFW, PVE's, each one transaction, then back to the first state (E1 J3 J4)",
        firewall::once,
    ),
    long(
        "pve-switch-stale",
        "UFW was loaded before pve-firewall switched the iptables alternatives: put away there, too (J4)",
        firewall::stale,
    ),
    long("pve-switch-twice", "6: both directions, twice, then back to the first state (E1 J3 J4)", firewall::twice),
    long(
        "pve-allowed",
        "8: management = [\"any\"], remote networks alone, a cluster of three: what they open (D1 D4 D8)",
        firewall::allowed,
    ),
    long(
        "pve-killed",
        "a run killed while PVE's firewall is on trial: put back, and PVE opens by itself (D1 J3)",
        firewall::killed,
    ),
    long(
        "pve-broken",
        "3: pmxcfs killed, dead, stopped, without quorum in the middle: put back or said, then success (J1 J3)",
        firewall::broken,
    ),
    long(
        "disk-errors",
        "EIO from the disk that holds the journal: put back, or exit 5 with the commands to type (J1 J3)",
        device::errors,
    ),
    long(
        "wizard-screen",
        "part 5: the wizard by keys on a screen of 80x25: way back, wrong answers, QR code, new login (J2 C2-C5)",
        wizard::on_a_screen,
    )
    .own(),
    long(
        "wizard-line",
        "part 5: the wizard on a serial line, Ctrl-C at every question before (J2 C2-C4)",
        wizard::on_a_line,
    )
    .own(),
    short(
        "wizard-dropped",
        "part 5: the SSH line is dropped at a question, in the run, and while it waits: old or new, told by the next (J2 J3)",
        wizard::dropped,
    ),
    long("clock-jumps", "the clock jumps back and ahead in the middle of a run: it changes nothing (J3)", device::clock),
    long("strict-keys", "`strict` makes the RSA host key anew, and a rollback brings the old one back (A6 B4 J3)", device::strict),
    long(
        "bans",
        "part 4: bad logins on 22 and 8006 ban that host alone; lifted, after a boot, after a rotation (F1-F4)",
        hardening::banned,
    ),
    long("kernel", "part 4: kernel settings now, after a boot, on later devices, and taken back (G1 J3)", hardening::kernel),
    long(
        "services",
        "part 4: mail on loopback, a profile enforced, others untouched, after a boot, taken back (G3 G5 J3)",
        hardening::services,
    ),
    long(
        "container",
        "part 4: rpcbind off unless NFSv3, a listener told, a container without privileges runs (G2 G4 G5 J3)",
        hardening::container,
    ),
    long(
        "audit-honest",
        "a node is broken in many ways that leave our files in place: exactly that control turns red (I1 I3)",
        audit::honest,
    )
    .committed(),
    long(
        "audit-honest-pve",
        "the same on a node of PVE: rules in front of PVE's, users, roles, root's keys (I1 I3)",
        audit::honest_on_pve,
    ),
    long("audit-recorded", "the timer's run: kept, compared, told in status and journal (I2)", audit::recorded)
        .committed(),
    long(
        "scores",
        "ssh-audit without fail, its policy with `strict`, lynis from 85, an audit 20 times faster (B4 I1)",
        crate::scores::promised,
    )
    .committed(),
    short("docs-node", "natively: every command of the docs for a node, as a reader types it (I2 J3)", docs::on_a_node).own(),
    long("docs-pve", "and those for a node of PVE (C8 D1 J3)", docs::on_pve),
    long("demo", "the README's first command, to its end (A3 B1 J1)", crate::demo::unattended).own(),
];
