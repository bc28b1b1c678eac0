//! `pvecm updatecerts`: what PVE does at every start of pveproxy, and what a product's SSH files must outlive.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cluster_files;
use crate::command_line::parameter::Parameters;
use crate::context::Context;
use crate::failure::Failure;
use crate::pvecm::system;

/// How long it waits for quorum, in tenths of a second.
const PATIENCE: u32 = 800;
/// Directories it makes, below `/etc/pve`, for files that PVE watches.
const OBSERVED: &[&str] = &["ha", "mapping", "priv/acme", "sdn", "virtual-guest"];
/// The one line of root's client configuration.
const CIPHERS: &str = "Ciphers aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com\n";
/// `vzdump.cron` where there is none.
const VZDUMP: &str = "# cluster wide vzdump cron schedule\n# Atomatically generated file - do not edit\n\nPATH=\"/usr/sbin:/usr/bin:/sbin:/bin\"\n\n";

/// Makes and repairs all of it; without quorum in time it fails, or says so only with `--silent`.
pub fn update(context: &Context, parameters: &Parameters) -> Result<(), Failure> {
    let silent = parameters.get("silent") == Some("1");
    root_ssh(context);
    if !wait_for_quorum(context, silent) {
        let text = "got timeout when trying to ensure cluster certificates and base file hierarchy is set up \
                    - no quorum (yet) or hung pmxcfs?";
        if silent {
            context.warn(text);
            return Ok(());
        }
        return Err(Failure::die(text));
    }
    let done = |error: std::io::Error| Failure::die(error.to_string());
    authorized_keys(context).map_err(done)?;
    if !silent {
        context.print("(re)generate node files\n");
    }
    node_files(context, parameters.get("force") == Some("1"))?;
    merge_keys(context).map_err(done)?;
    if parameters.get("unmerge-known-hosts") == Some("1") {
        unmerge_known_hosts(context).map_err(done)?;
    }
    known_hosts(context)?;
    let cron = context.path("/etc/pve/vzdump.cron");
    if !cron.exists() {
        cluster_files::write(context, "vzdump.cron", VZDUMP.as_bytes())?;
    }
    link(context, "/etc/pve/vzdump.cron", "/etc/cron.d/vzdump").map_err(done)?;
    for directory in OBSERVED {
        fs::create_dir_all(context.path(&format!("/etc/pve/{directory}"))).map_err(done)?;
    }
    Ok(())
}

fn wait_for_quorum(context: &Context, silent: bool) -> bool {
    for attempt in 0..PATIENCE {
        if cluster_files::is_up(context) && cluster_files::has_quorum(context) {
            return true;
        }
        if !silent && attempt % 50 == 0 {
            context.print("waiting for pmxcfs mount to appear and get quorate...\n");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// Elliptic where the real ones are RSA: nobody looks, and a guest without KVM waits a minute for those.
const CURVE: &str = "prime256v1";

/// Root's RSA key and client configuration, where there are none.
fn root_ssh(context: &Context) {
    let key = context.path("/root/.ssh/id_rsa");
    let _ = fs::create_dir_all(context.path("/root/.ssh"));
    if !key.with_extension("pub").exists() {
        let made =
            Command::new("ssh-keygen").args(["-t", "rsa", "-N", "", "-b", "4096", "-f"]).arg(&key).output();
        if let Ok(made) = made {
            context.print(&String::from_utf8_lossy(&made.stdout));
        }
    }
    let config = context.path("/root/.ssh/config");
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o640).open(config);
    if let Ok(mut file) = opened {
        let _ = file.write_all(CIPHERS.as_bytes());
    }
}

/// Root's keys live in the cluster file system; a plain file in the place of the link is put aside and merged.
fn authorized_keys(context: &Context) -> std::io::Result<()> {
    fs::create_dir_all(context.path("/etc/pve/priv"))?;
    let (cluster, own, aside) = (
        context.path("/etc/pve/priv/authorized_keys"),
        context.path("/root/.ssh/authorized_keys"),
        context.path("/root/.ssh/authorized_keys.org"),
    );
    let imported = !cluster.is_file();
    if imported {
        let old = fs::read(&own).unwrap_or_default();
        OpenOptions::new().write(true).create_new(true).mode(0o400).open(&cluster)?.write_all(&old)?;
    }
    if own.is_file() && !own.is_symlink() {
        fs::rename(&own, &aside)?;
    }
    if !own.is_symlink() {
        symlink("/etc/pve/priv/authorized_keys", &own)?;
    }
    if imported {
        let _ = fs::remove_file(aside);
    }
    Ok(())
}

/// The union of the cluster's keys, what was put aside, and root's own.
fn merge_keys(context: &Context) -> std::io::Result<()> {
    let aside = context.path("/root/.ssh/authorized_keys.org");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let cluster = context.path("/etc/pve/priv/authorized_keys");
    let before = read(&cluster);
    let all = [before.clone(), read(&context.path("/root/.ssh/id_rsa.pub")), read(&aside)].join("\n");
    let mut keys: Vec<&str> = Vec::new();
    for line in all.lines().filter(|line| !line.trim().is_empty()) {
        if !keys.contains(&line) {
            keys.push(line);
        }
    }
    let merged = keys.join("\n") + "\n";
    if merged != before {
        let _ = cluster_files::write(context, "priv/authorized_keys", merged.as_bytes());
    }
    let _ = fs::remove_file(aside);
    Ok(())
}

/// The RSA key of this host alone.
fn known_hosts(context: &Context) -> Result<(), Failure> {
    let path = "/etc/ssh/ssh_host_rsa_key.pub";
    let text = fs::read_to_string(context.path(path))
        .map_err(|_| Failure::die(format!("can't open '{path}' - No such file or directory")))?;
    let mut words = text.lines().find(|line| line.starts_with("ssh-rsa ")).unwrap_or_default().split(' ');
    let (Some("ssh-rsa"), Some(key)) = (words.next(), words.next()) else {
        return Err(Failure::die(format!("can't parse {path}")));
    };
    let node = context.node();
    cluster_files::write(
        context,
        &format!("nodes/{node}/ssh_known_hosts"),
        format!("{node} ssh-rsa {key}").as_bytes(),
    )
}

/// The old merged file, as a copy in the place of the link.
fn unmerge_known_hosts(context: &Context) -> std::io::Result<()> {
    let link = context.path("/etc/ssh/ssh_known_hosts");
    if link.is_symlink() {
        let old = fs::read(context.path("/etc/pve/priv/known_hosts")).unwrap_or_default();
        fs::remove_file(&link)?;
        fs::write(&link, old)?;
    }
    Ok(())
}

/// Directories, keys and the certificate of this node.
fn node_files(context: &Context, force: bool) -> Result<(), Failure> {
    let node = context.node();
    let pve = |name: &str| context.path(&format!("/etc/pve/{name}"));
    for name in ["lxc", "qemu-server", "openvz", "priv"] {
        fs::create_dir_all(pve(&format!("nodes/{node}/{name}")))
            .map_err(|error| Failure::die(format!("unable to create directory - {error}")))?;
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (private, public) = (text(&pve("priv/authkey.key")), text(&pve("authkey.pub")));
    if !Path::new(&private).exists() {
        system("openssl", &["genrsa", "-out", &private, "2048"])?;
    }
    if !Path::new(&public).exists() {
        system("openssl", &["rsa", "-in", &private, "-pubout", "-out", &public])?;
    }
    let www = pve("pve-www.key");
    if !www.exists() {
        system("openssl", &["ecparam", "-name", CURVE, "-genkey", "-noout", "-out", &text(&www)])?;
    }
    let key = pve(&format!("nodes/{node}/pve-ssl.key"));
    let certificate = pve(&format!("nodes/{node}/pve-ssl.pem"));
    let subject = format!("/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={node}");
    let authority = [text(&pve("priv/pve-root-ca.key")), text(&pve("pve-root-ca.pem"))];
    self_signed(&authority, "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA", false)?;
    self_signed(&[text(&key), text(&certificate)], &subject, force)
}

/// A key and its certificate. The real node's certificate is signed by the cluster's authority; nobody checks it here.
fn self_signed(files: &[String; 2], subject: &str, force: bool) -> Result<(), Failure> {
    let [key, certificate] = files;
    if Path::new(certificate).exists() && !force {
        return Ok(());
    }
    let curve = format!("ec_paramgen_curve:{CURVE}");
    let made =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", &curve, "-nodes", "-days", "730", "-subj", subject];
    system("openssl", &[&made[..], &["-keyout", key, "-out", certificate]].concat())
}

fn link(context: &Context, target: &str, path: &str) -> std::io::Result<()> {
    let own = context.path(path);
    if own.is_symlink() {
        return Ok(());
    }
    if own.exists() {
        fs::rename(&own, context.path("/root/etc_cron_vzdump.org"))?;
    }
    if let Some(directory) = own.parent() {
        fs::create_dir_all(directory)?;
    }
    symlink(target, own)
}
