//! The help texts. Written by hand: 80 columns, the exit codes in each overview.

/// The name people type.
pub const PROGRAM: &str = "firstlight";

/// The help of a command; the overview for any other name.
pub fn help(name: &str) -> String {
    let name = name.split(' ').next().unwrap_or_default();
    let text = TEXTS.iter().find(|(command, _)| *command == name).map_or(OVERVIEW, |(_, text)| *text);
    format!("{text}\n")
}

/// Which help to read after a mistake: that of the command, where the first word is one.
pub fn where_to_look(first: &str) -> String {
    let command = TEXTS.iter().find(|(command, _)| *command == first).map_or("", |(command, _)| command);
    format!("{PROGRAM} {command}{}--help", if command.is_empty() { "" } else { " " })
}

pub(super) const OVERVIEW: &str = "\
firstlight hardens a Proxmox VE node in one transaction that can be put back.

usage: firstlight COMMAND [OPTION]…        firstlight COMMAND --help

  check ANSWER            validate an answer file; touches nothing
  bake ANSWER --out DIR   the installer's answer and the first-boot executable
  plan [ANSWER]           what would change
  apply [ANSWER]          change it, or put everything back
  wizard                  ask for the answers, show the plan, apply it
  audit [ANSWER]          what is true now, with a score
  status                  what happened, step by step
  confirm                 commit what waits for confirmation
  rollback [ID]           take a committed transaction back
  snapshots               list, show, compare and prune the snapshots
  totp                    show, verify and reset a second factor of PVE
  install, uninstall      the executable and its units
  recover                 deal with a run that was cut off

  --version               the version

exit codes
  0  done, or nothing to do
  1  failed and put back
  2  bad input, not root, lock held, another plan: nothing was touched
  3  done, but something needs attention: findings, warnings, kept files
  4  applied and waiting for confirmation, or still at work
  5  failed and could not be put back: read what it prints";

pub(super) const TEXTS: [(&str, &str); 14] = [
    (
        "check",
        "\
usage: firstlight check ANSWER [--for NODE]

Validates an answer file: every problem at once, each with its place, on
standard error. Touches nothing, needs no root, works on any machine.

  --for NODE   prints what this node of a fleet gets, without secrets: its
               name, or fqdn=, mac=, serial=, asset-tag= with commas between

exit codes: 0 fine, 2 problems",
    ),
    (
        "bake",
        "\
usage: firstlight bake ANSWER --out DIR [--exe FILE] [--for NODE]

Writes two files for an unattended installation:
  DIR/answer.toml   PVE's part, for `proxmox-auto-install-assistant`
  DIR/first-boot    this program with our part of the answer inside

Both may hold secrets: they are readable by you alone.

  --out DIR    where they go
  --exe FILE   another firstlight than the running one
  --for NODE   for one node of a fleet alone, named as for `check`

exit codes: 0 done, 2 problems",
    ),
    (
        "plan",
        "\
usage: firstlight plan [ANSWER] [--json]

Shows what `apply` would change: diffs, packages, users, units, and the hash
of the plan. Changes nothing and takes no lock. Without ANSWER the profile of
record is read. Needs root.

  --json   for programs (docs/json.md)

exit codes: 0 shown, 2 bad input or refused",
    ),
    (
        "apply",
        "\
usage: firstlight apply [ANSWER] [--plan HASH] [--confirm login|none]

Makes the node as the answer wants it, in one transaction: snapshot, checks,
changes, checks. Any failure puts everything back. Without ANSWER the profile
of record is read. Needs root.

  --plan HASH       only this plan, as `plan` printed it
  --confirm login   put back unless the admin logs in anew within the minutes
                    of the answer (10): the default over SSH
  --confirm none    commit as soon as the checks pass: the default elsewhere

exit codes: 0 done, 1 failed and put back, 2 nothing was touched, 3 done with
            warnings, 4 waiting for confirmation, 5 could not be put back",
    ),
    (
        "wizard",
        "\
usage: firstlight wizard [--save FILE]

Asks for what an answer file says, shows the plan, and applies it once \"apply\"
was typed; then waits for a new login, and enrols second factors. ? explains a
question, < goes back. After Ctrl-C or a dropped line start it again: it says
where the node stands. Needs root and a terminal.

  --save FILE   the answers as a file for `apply` and `bake`: passwords as
                hashes, readable by root alone

exit codes: as for apply; 2 ended before anything was touched",
    ),
    (
        "audit",
        "\
usage: firstlight audit [ANSWER] [--json | --junit | --record]

Tells what is true now, from effective state, with what was seen instead and
what to do where a control does not hold. Changes nothing. Without ANSWER the
node is held against the profile of record, or the defaults. Needs root.

  --json     for programs (docs/audit.md)
  --junit    as test results, in XML
  --record   keep it for `status`, with what has turned since the last one

exit codes: 0 nothing to do, 2 bad input or not root, 3 findings",
    ),
    (
        "status",
        "\
usage: firstlight status [--wait[=SECONDS]] [--json]

Tells what happened on this node: outcome, steps with their times, checks,
warnings, earlier transactions. Needs root.

  --wait[=SECONDS]   until nothing more happens by itself (30 minutes)
  --json             for programs (docs/json.md)

exit codes: those of the last run; 0 if nothing ever ran, 4 while it works
            or when waiting took too long",
    ),
    (
        "rollback",
        "\
usage: firstlight rollback [ID | --to ID] [--force] [--dry-run [--json]]

Takes committed transactions back: files, users, units, firewall, and packages
that they installed. Without ID the last one; with ID that one and every later
one, newest first. What somebody changed since is listed and kept, and so is
a package that another one needs by now. Needs root.

  --to ID     ID itself stays: the node as that transaction left it
  --force     also what somebody changed since; never their packages, accounts
              or a cluster that was joined since
  --dry-run   show every path as it was, as we left it and now, and what would
              be done; changes nothing
  --json      for programs (docs/json.md)

exit codes: 0 put back, 2 nothing was touched, 3 put back but for kept files,
            5 could not be put back",
    ),
    (
        "confirm",
        "\
usage: firstlight confirm

Commits a run that was applied with `--confirm login` and waits: for when a
new login of the admin cannot be seen. Log in anew before you run it: an
open session says nothing about the next one. Needs root.

exit codes: 0 committed, or nothing waits; 2 another firstlight is at work",
    ),
    (
        "snapshots",
        "\
usage: firstlight snapshots list
       firstlight snapshots show ID [PATH]
       firstlight snapshots diff ID [ID] [PATH] [--json]
       firstlight snapshots prune [--keep N]

A snapshot is what stood in /etc before a transaction. `show` lists it, or
prints one file as it was. `diff` compares it with another, or with the node
as it is now. `prune` keeps the newest N (10) transactions that stand and the
newest N others, and forgets the rest with whatever nobody needs any more;
every commit does the same with 10. Needs root.

exit codes: 0 done, 2 no such snapshot or path",
    ),
    (
        "totp",
        "\
usage: firstlight totp show USER
       firstlight totp verify USER
       firstlight totp reset USER

The second factor of a user of PVE, such as root@pam. `show` draws its QR code
and shows the secret once more, on a terminal only. `verify` reads a code from
standard input and says whether it is right; until then `status` calls the
factor unverified. With enrolment = \"on-verify\" the first right code enrols
it. `reset` is for a device that is lost, or locked out after eight wrong
codes: new secret, new recovery keys, the old ones gone, the lock lifted.
Needs root.

exit codes: 0 done, 1 the code is wrong, 2 not done",
    ),
    (
        "install",
        "\
usage: firstlight install

Copies this program without its answer to /usr/local/sbin/firstlight, and
puts its units in place. Twice is once. Needs root.

exit codes: 0 done, 2 not done",
    ),
    (
        "uninstall",
        "\
usage: firstlight uninstall

Removes the program and its units. What was hardened stays; so do snapshots
and journals in /var/lib/firstlight. A run that was cut off is put back first.
Needs root.

exit codes: 0 done, 2 not done",
    ),
    (
        "recover",
        "\
usage: firstlight recover [--early]

Puts back a run that was cut off by a crash or a power cut. Every command
that changes something does this first, and so do the units at boot.
Needs root.

  --early   files only, starts and stops nothing: before the network is up

exit codes: 0 nothing to do or put back, 3 put back but for kept files,
            5 could not be put back",
    ),
];
