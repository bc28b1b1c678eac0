//! Users, second factors and recovery keys on a node of PVE: what a first boot makes of them, and what the admin does with
//! it afterwards.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::hook::{self, INSTALLED_PATH};
use super::second_factor::{
    HANDOVER_PATH, Handed, at_terminal, log_in, now, seen, totp, without_terminal, wrong_code,
};
use super::secrets::nowhere_else;
use super::totp_faults::IN_PVE;
use crate::bench::Bench;
use crate::node::Node;
use crate::payload::{ADMIN_PASSWORD, TOKEN};
use crate::picture::code_of;
use crate::progress::say;
use crate::workspace::{KeyPair, Workspace};

/// Who gets a factor: the example's admin, and root.
const USERS: [&str; 2] = ["root@pam", "ops@pam"];
/// Calls of PVE's tools for each user that is enrolled (design 11), with one more for the second device on request.
const CALLS: usize = 4;
/// What each of them has.
const KINDS: [&str; 3] = ["recovery", "totp", "totp"];
/// The secret of somebody else.
const THEIRS: &str = "otpauth://totp/guest?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
/// Everything PVE keeps, by what it is; keys of its hashes come in any order.
const OF_PVE: &str = "find /etc/pve -type f -not -name '.*' -not -path '*/lock/*' -printf '%p %T@\\n' | sort; \
                      sha256sum /etc/pve/user.cfg /etc/pve/priv/tfa.cfg";
/// Names and times of all that an unnecessary write would change.
const TIMES: &str = "find /etc /home /root /usr/local -xdev -printf '%p %T@ %C@\\n' | sort";

/// A first boot through PVE's own unit, and everything about its users.
pub fn unattended(bench: &mut Bench) -> Result<()> {
    let workspace = bench.workspace().clone();
    let admin = bench.payload()?.admin_key.clone();
    let answer = std::fs::read(&bench.payload()?.pve.1).context("reading the answer")?;
    bench.pve_committed()?;
    let serial = bench.pve_serial().to_owned();
    let node = bench.same_idle()?;
    let handed = Handed::read(node, HANDOVER_PATH)?;
    few_calls(node)?;
    made(node, &handed)?;
    on_the_serial_line(&serial, &workspace, &handed)?;
    // Before anybody logs in: the harness itself passes codes and keys as arguments, which the guest's agent logs.
    nowhere_else(node, &workspace, &handed, &|_, _| false, true)?;
    unverified(node, &["root@pam", "root@pam, second device", "ops@pam", "ops@pam, second device"])?;
    unacknowledged(
        node,
        &["recovery keys of root@pam", "recovery keys of ops@pam", "PVE API token ops@pam!ansible"],
    )?;
    second_run(node, &answer)?;
    shown_and_verified(node, &workspace, &admin, &handed)?;
    logins(node, &handed)?;
    locked_and_freed(node, &workspace, &admin, &handed)
}

/// What others have in PVE before a run: a user with permissions, a token, and a factor that is switched off. Gives all of it.
pub fn inhabited(node: &mut Node) -> Result<String> {
    let code = code_of(THEIRS, now(node)?)?;
    node.ok(&format!(
        "pveum user add guest@pve --comment 'Somebody: else' && pveum acl modify /vms --users guest@pve --roles PVEVMUser && \
         pveum user token add guest@pve backup --privsep 1 > /dev/null && pveum group add others --comment theirs && \
         id=$(pvesh create /access/tfa/guest@pve --type totp --description firstlight --totp '{THEIRS}' --value {code} \
         --output-format json | grep -o '[0-9a-f-]\\{{36\\}}') && pvesh set /access/tfa/guest@pve/$id --enable 0"
    ))?;
    let seen = node.ok(IN_PVE)?;
    node.pve().forget_calls()?;
    Ok(seen)
}

/// C6: whoever of the realm has no factor is shut out, and that ends with a rollback.
fn plain_user(node: &mut Node, wanted: u16) -> Result<()> {
    let (status, asked) = node.pve().log_in("plain@pam", ADMIN_PASSWORD, None)?;
    ensure!(status == wanted && !asked, "8006 answers a user without a factor with {status}");
    Ok(())
}

/// J3: a rollback leaves the users, permissions, factors and realms that there were.
pub fn rolled_back(bench: &mut Bench) -> Result<()> {
    let late = super::totp_faults::answer(bench.payload()?, "console");
    bench.pve_committed()?;
    let before = bench.pve_before().to_owned();
    let node = bench.same_idle()?;
    let handed = Handed::read(node, HANDOVER_PATH)?;
    let code = totp(node, handed.uri("root@pam")?, 0)?;
    ensure!(log_in(node, "root@pam", "not a secret", &code)? == 200, "8006 refuses root a right code");
    node.ok(&format!(
        "useradd plain && echo 'plain:{ADMIN_PASSWORD}' | chpasswd && pveum user add plain@pam"
    ))?;
    plain_user(node, 401)?;
    let said = node.run_within(&format!("{INSTALLED_PATH} rollback"), 300)?;
    ensure!(said.status == 0, "rollback ended with {}: {}{}", said.status, said.stdout, said.stderr);
    plain_user(node, 200)?;
    node.ok("pveum user delete plain@pam && userdel plain")?;
    let after = node.ok(IN_PVE)?;
    ensure!(after == before, "PVE's users are not what they were:\n{before}\n{after}");
    ensure!(!node.holds(&format!("test -e {HANDOVER_PATH}"))?, "something is still handed over");
    unverified(node, &[])?;
    unacknowledged(node, &[])?;
    let (status, asked) = node.pve().log_in("root@pam", "not a secret", None)?;
    ensure!(status == 200 && !asked, "8006 still asks root for a second factor: {status}");
    without_clock(node, &late, &before)?;
    on_verify(node, &late)
}

/// C7: codes are made of the time, so a clock that nobody has set right leaves the node untouched.
fn without_clock(node: &mut Node, answer: &str, before: &str) -> Result<()> {
    let answer = format!("{answer}\n[firstlight.totp]\nclock-wait-seconds = 2\n");
    node.put("/run/late.toml", answer.as_bytes(), 0o600)?;
    node.pve().unsynchronise_clock()?;
    let said = node.run_within(&format!("{INSTALLED_PATH} apply --confirm none /run/late.toml"), 120)?;
    ensure!(
        said.status == 1,
        "with a wrong clock apply ended with {}: {}{}",
        said.status,
        said.stdout,
        said.stderr
    );
    let status = hook::expect_outcome(node, "untouched")?;
    ensure!(status.to_string().contains("not synchronised after 2 s"), "the status: {status}");
    let after = node.ok(IN_PVE)?;
    ensure!(after == before, "it has touched PVE:\n{before}\n{after}");
    node.pve().synchronise_clock()
}

/// C3: with `on-verify` nobody needs a code until `totp verify` has seen one.
fn on_verify(node: &mut Node, answer: &str) -> Result<()> {
    let answer = format!("{answer}\n[firstlight.totp]\nenrolment = \"on-verify\"\n");
    node.put("/run/late.toml", answer.as_bytes(), 0o600)?;
    let said = node.run_within(&format!("{INSTALLED_PATH} apply --confirm none /run/late.toml"), 120)?;
    ensure!(matches!(said.status, 0 | 3), "apply ended with {}: {}{}", said.status, said.stdout, said.stderr);
    let (status, asked) = node.pve().log_in("ops@pam", ADMIN_PASSWORD, None)?;
    ensure!(status == 200 && !asked, "8006 asks for a code that nobody has: {status}");
    let shown = node.ok(&format!(
        "script --quiet --return --command '{INSTALLED_PATH} totp show ops@pam' /dev/null < /dev/null"
    ))?;
    ensure!(shown.contains("not enrolled yet"), "totp show: {shown}");
    let handed = String::from_utf8(node.get(HANDOVER_PATH)?).context("reading the hand-over")?;
    let uri = handed.lines().find(|line| line.starts_with("otpauth://")).context("no URI waits")?.to_owned();
    let (status, asked) = node.pve().log_in("ops@pam", ADMIN_PASSWORD, None)?;
    ensure!(status == 200 && !asked, "8006 asks for a code of a secret that was only shown: {status}");
    let code = totp(node, &uri, 0)?;
    let code = code.trim_start_matches("totp:");
    node.ok(&format!("echo {code} | {INSTALLED_PATH} totp verify ops@pam"))?;
    let (status, asked) = node.pve().log_in("ops@pam", ADMIN_PASSWORD, None)?;
    ensure!(status == 200 && asked, "8006 does not ask for a code: {status}");
    let next = totp(node, &uri, 1)?;
    ensure!(
        log_in(node, "ops@pam", ADMIN_PASSWORD, &next)? == 200,
        "8006 refuses the code that was verified"
    );
    unverified(node, &[])
}

/// A2, C1, C4, C9: users, ACL, factors and the token are there.
fn made(node: &mut Node, handed: &Handed) -> Result<()> {
    for user in USERS {
        let uri = handed.uri(user)?;
        ensure!(
            uri.starts_with("otpauth://totp/pve1:") && uri.len() <= 78,
            "the URI of {user}: {}",
            uri.len()
        );
        ensure!(handed.keys.get(user).is_some_and(|keys| keys.len() == 10), "{user} has no ten keys");
        ensure!(kinds(node, user)? == KINDS, "the factors of {user}");
        let second = handed.uri(&format!("{user}, second device"))?;
        ensure!(second.len() <= 78 && second != uri, "the second device of {user}");
    }
    let acls = json(node, "pvesh get /access/acl --output-format json")?;
    let ours =
        |acl: &&Value| acl["ugid"] == "ops@pam" && acl["roleid"] == "Administrator" && acl["path"] == "/";
    ensure!(acls.as_array().is_some_and(|acls| acls.iter().filter(ours).count() == 1), "the ACL: {acls}");
    let name = format!("ops@pam!{TOKEN}");
    ensure!(handed.tokens.contains_key(&name), "no token was handed over");
    let tokens = json(node, "pvesh get /access/users/ops@pam/token --output-format json")?;
    ensure!(tokens[0]["tokenid"] == TOKEN && tokens[0]["privsep"] == 1, "the token: {tokens}");
    Ok(())
}

fn kinds(node: &mut Node, user: &str) -> Result<Vec<String>> {
    let entries = json(node, &format!("pvesh get /access/tfa/{user} --output-format json"))?;
    let mut kinds: Vec<String> = entries
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry["type"].as_str()?.to_owned()))
        .collect();
    kinds.sort();
    Ok(kinds)
}

fn json(node: &mut Node, command: &str) -> Result<Value> {
    serde_json::from_str(&node.ok(command)?).with_context(|| format!("reading what `{command}` said"))
}

/// What the run called: nobody else has until now.
fn few_calls(node: &mut Node) -> Result<()> {
    let calls = node.pve().calls()?;
    say(format_args!(
        "  calls of pvesh and pveum in the whole run: {}\n    {}",
        calls.len(),
        calls.join("\n    ")
    ));
    let enrolled = calls.iter().filter(|call| call.contains(" /access/tfa/")).count();
    // The admin and their role, and on request a token and a realm: one call each.
    ensure!(calls.len() - enrolled <= 4, "more calls than things to make: {calls:?}");
    ensure!(enrolled <= CALLS * USERS.len(), "too many calls of PVE's tools: {calls:?}");
    ensure!(!calls.is_empty() && !calls.iter().any(|call| call.contains("firewall")), "the calls: {calls:?}");
    Ok(())
}

/// C2: both codes were drawn on the serial line, where somebody's camera reads them.
fn on_the_serial_line(serial: &[u8], workspace: &Workspace, handed: &Handed) -> Result<()> {
    let (codes, modules) = seen(workspace, serial, "totp-serial.pgm")?;
    let mut wanted: Vec<&String> = handed.uris.values().collect();
    wanted.sort();
    ensure!(codes.iter().collect::<Vec<_>>() == wanted, "on the serial line were {} codes", codes.len());
    let text = String::from_utf8_lossy(serial);
    ensure!(
        handed.tokens.values().all(|token| text.contains(token.as_str())),
        "the token was not shown whole"
    );
    ensure!(modules == 33, "a code has {modules} modules in a row, and version 4 has 33");
    let bytes: Vec<usize> = wanted.iter().map(|uri| uri.len()).collect();
    say(format_args!("  codes of {bytes:?} bytes in QR version 4 were read from the serial line"));
    Ok(())
}

/// C3: `status` says who has not shown a code yet.
fn unverified(node: &mut Node, users: &[&str]) -> Result<()> {
    let status = hook::status(node)?;
    let listed: Vec<&str> =
        status["unverified"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut listed, mut users) = (listed, users.to_vec());
    listed.sort_unstable();
    users.sort_unstable();
    ensure!(listed == users, "unverified are {listed:?}, and should be {users:?}");
    let text = node.run(&format!("{INSTALLED_PATH} status"))?.stdout;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for user in users {
        ensure!(words.contains(&format!("The second factor of {user} is unverified")), "status: {text}");
    }
    Ok(())
}

/// C4, C9: `status` says what was shown once and nobody has acknowledged.
fn unacknowledged(node: &mut Node, wanted: &[&str]) -> Result<()> {
    let status = hook::status(node)?;
    let listed = status["unacknowledged"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut listed: Vec<&str> = listed.collect();
    let mut wanted = wanted.to_vec();
    listed.sort_unstable();
    wanted.sort_unstable();
    ensure!(listed == wanted, "unacknowledged is {listed:?}, and should be {wanted:?}");
    Ok(())
}

/// 5: nothing is left to do, and nothing is done twice.
fn second_run(node: &mut Node, answer: &[u8]) -> Result<()> {
    node.put("/run/pve.toml", answer, 0o600)?;
    let (before, times) = (node.ok(OF_PVE)?, node.ok(TIMES)?);
    let calls = node.pve().calls()?.len();
    let plan = node.run_within(&format!("{INSTALLED_PATH} plan /run/pve.toml"), 120)?;
    ensure!(plan.status == 0, "a second plan ended with {}: {}{}", plan.status, plan.stdout, plan.stderr);
    let again = node.run_within(&format!("{INSTALLED_PATH} apply /run/pve.toml"), 300)?;
    ensure!(
        again.status == 0,
        "a second apply ended with {}: {}{}",
        again.status,
        again.stdout,
        again.stderr
    );
    ensure!(node.pve().calls()?.len() == calls, "a second run called PVE's tools");
    let (after, later) = (node.ok(OF_PVE)?, node.ok(TIMES)?);
    ensure!(before == after, "a second run touched /etc/pve:\n{before}\n{after}");
    let changed: Vec<&str> = later.lines().filter(|line| !times.lines().any(|old| old == *line)).collect();
    ensure!(changed.is_empty(), "a second run touched: {}", changed.join(", "));
    for user in USERS {
        ensure!(kinds(node, user)? == KINDS, "{user} has other factors after a second run");
    }
    Ok(())
}

/// C3: the admin sees the code again over SSH, and types one of its codes.
fn shown_and_verified(
    node: &mut Node,
    workspace: &Workspace,
    admin: &KeyPair,
    handed: &Handed,
) -> Result<()> {
    let uri = handed.uri("ops@pam")?;
    let shown = at_terminal(node, admin, "totp show ops@pam")?;
    ensure!(shown.status == 0, "totp show ended with {}: {}{}", shown.status, shown.stdout, shown.stderr);
    let (codes, modules) = seen(workspace, shown.stdout.as_bytes(), "totp-ssh.pgm")?;
    let mut both = [uri, handed.uri("ops@pam, second device")?];
    both.sort_unstable();
    ensure!(codes == both && modules == 33, "totp show over SSH shows {} codes", codes.len());
    ensure!(
        handed.tokens.values().all(|token| shown.stdout.contains(token.as_str())),
        "totp show does not show the token again"
    );
    ensure!(
        shown.stdout.contains(handed.key("ops@pam", 9)?),
        "totp show does not show the recovery keys again"
    );
    let piped = without_terminal(node, admin, "totp show ops@pam", "")?;
    ensure!(
        piped.status == 2 && !piped.stdout.contains("otpauth"),
        "totp show writes into a pipe: {}",
        piped.status
    );
    let wrong = wrong_code(node, uri)?;
    let refused = without_terminal(node, admin, "totp verify ops@pam", wrong.trim_start_matches("totp:"))?;
    ensure!(refused.status == 1, "a wrong code: {} {}{}", refused.status, refused.stdout, refused.stderr);
    let code = totp(node, uri, 0)?;
    let right = without_terminal(node, admin, "totp verify ops@pam", code.trim_start_matches("totp:"))?;
    ensure!(right.status == 0, "a right code: {} {}{}", right.status, right.stdout, right.stderr);
    let left = String::from_utf8(node.get(HANDOVER_PATH)?).context("reading the hand-over")?;
    ensure!(
        !left.contains(uri) && left.contains(handed.uri("root@pam")?),
        "what was seen is still handed over"
    );
    unverified(node, &["root@pam", "root@pam, second device", "ops@pam, second device"])?;
    unacknowledged(node, &["recovery keys of root@pam"])
}

/// 1: 8006 needs the code and accepts it once; a recovery key works once.
fn logins(node: &mut Node, handed: &Handed) -> Result<()> {
    for (user, password) in [("root@pam", "not a secret"), ("ops@pam", ADMIN_PASSWORD)] {
        let uri = handed.uri(user)?;
        let code = totp(node, uri, 0)?;
        ensure!(log_in(node, user, password, &code)? == 200, "8006 refuses a right code of {user}");
        ensure!(log_in(node, user, password, &code)? == 401, "8006 takes a code of {user} twice");
        let next = totp(node, uri, 1)?;
        ensure!(log_in(node, user, password, &next)? == 200, "8006 refuses the next code of {user}");
        let key = format!("recovery:{}", handed.key(user, 0)?);
        ensure!(log_in(node, user, password, &key)? == 200, "8006 refuses a recovery key of {user}");
        ensure!(log_in(node, user, password, &key)? == 401, "8006 takes a recovery key of {user} twice");
    }
    unverified(node, &["root@pam, second device", "ops@pam, second device"])?;
    for (user, password) in [("root@pam", "not a secret"), ("ops@pam", ADMIN_PASSWORD)] {
        let code = totp(node, handed.uri(&format!("{user}, second device"))?, 0)?;
        ensure!(log_in(node, user, password, &code)? == 200, "8006 refuses the second device of {user}");
    }
    // A login is proof enough of a code, and none of recovery keys.
    unverified(node, &[])?;
    unacknowledged(node, &["recovery keys of root@pam"])?;
    for (name, value) in &handed.tokens {
        ensure!(
            node.pve().with_token(&format!("{name}={value}"), "version")? == 200,
            "8006 refuses the token"
        );
        ensure!(
            node.pve().with_token(&format!("{name}={}", "0".repeat(36)), "version")? == 401,
            "it takes any value"
        );
    }
    Ok(())
}

/// C8: eight wrong codes lock, and `totp reset` makes a new factor that works at once.
fn locked_and_freed(node: &mut Node, workspace: &Workspace, admin: &KeyPair, handed: &Handed) -> Result<()> {
    let (user, password) = ("root@pam", "not a secret");
    let uri = handed.uri(user)?;
    let wrong = wrong_code(node, uri)?;
    for _ in 0..8 {
        ensure!(log_in(node, user, password, &wrong)? == 401, "8006 takes a wrong code");
    }
    let users = json(node, "pvesh get /access/tfa --output-format json")?;
    ensure!(users.to_string().contains("\"totp-locked\":"), "eight wrong codes do not lock: {users}");
    // Two steps on from the last one that was taken.
    node.ok("date --set='+90 seconds'")?;
    let right = totp(node, uri, 0)?;
    ensure!(log_in(node, user, password, &right)? == 401, "8006 takes a right code although it is locked");
    let reset = at_terminal(node, admin, &format!("totp reset {user}"))?;
    ensure!(reset.status == 0, "totp reset ended with {}: {}{}", reset.status, reset.stdout, reset.stderr);
    let (codes, _) = seen(workspace, reset.stdout.as_bytes(), "totp-reset.pgm")?;
    let [new] = codes.as_slice() else { anyhow::bail!("totp reset shows {} codes", codes.len()) };
    ensure!(new != uri && kinds(node, user)? == ["recovery", "totp"], "totp reset leaves the old factor");
    let keys: Vec<&str> = reset.stdout.split_whitespace().filter(|word| is_key(word)).collect();
    ensure!(keys.len() == 10, "totp reset shows {} recovery keys", keys.len());
    // Before the harness passes a key as an argument, which the guest's agent logs.
    let secrets = Handed {
        uris: [(user.to_owned(), new.clone())].into(),
        keys: [(user.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())].into(),
        tokens: [].into(),
    };
    nowhere_else(node, workspace, &secrets, &|_, _| false, false)?;
    let code = totp(node, new, 0)?;
    ensure!(log_in(node, user, password, &code)? == 200, "8006 refuses a code of the new factor");
    let old = totp(node, uri, 0)?;
    ensure!(log_in(node, user, password, &old)? == 401, "8006 takes a code of the old factor");
    let key = format!("recovery:{}", handed.key(user, 1)?);
    ensure!(log_in(node, user, password, &key)? == 401, "8006 takes an old recovery key");
    let key = format!("recovery:{}", keys.first().context("no recovery key")?);
    ensure!(log_in(node, user, password, &key)? == 200, "8006 refuses a new recovery key");
    Ok(())
}

fn is_key(word: &str) -> bool {
    word.len() == 19
        && word.split('-').all(|part| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
