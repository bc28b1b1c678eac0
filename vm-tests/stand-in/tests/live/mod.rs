//! A node of its own on this machine: namespaces for mounts and network, a bridge, neighbours behind it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "STAND_IN_LIVE_INSIDE";

/// Runs a shell command that must work.
pub fn sh(script: &str) -> String {
    let output = Command::new("bash").args(["-ec", script]).output().expect("bash");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs the test again inside new namespaces, unless it is there already. True inside.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let program = std::env::current_exe().expect("this program");
    let status = Command::new("unshare")
        .args(["-n", "-m"])
        .arg(program)
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare");
    assert!(status.success(), "{test} inside its namespaces");
    false
}

/// A copy of `/etc` that this namespace has for itself, with the alternatives set as PVE sets them.
fn own_etc(name: &str) {
    sh("mkdir /run/etc && cp -a /etc/. /run/etc/ && mount --bind /run/etc /etc");
    for tool in ["iptables", "ip6tables"] {
        for suffix in ["", "-save", "-restore"] {
            let link = format!("/etc/alternatives/{tool}{suffix}");
            let _ = fs::remove_file(&link);
            symlink(format!("/usr/sbin/{tool}-legacy{suffix}"), link).expect("a link");
        }
    }
    fs::write("/etc/hosts", format!("127.0.0.1 localhost\n192.168.10.5 {name}\n")).expect("hosts");
}

/// A neighbour of the node: a network namespace with one address of each family.
pub struct Neighbour {
    holder: Child,
    /// Its IPv4 address.
    pub v4: &'static str,
    /// Its IPv6 address.
    pub v6: &'static str,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Neighbour {
    fn new(number: usize, v4: &'static str, v6: &'static str) -> Self {
        let holder = Command::new("unshare")
            .args(["-n", "sleep", "600"])
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare");
        let pid = holder.id();
        // Until unshare has done its work the process is still in the namespace of the node.
        sh(&format!(
            "while [ \"$(readlink /proc/{pid}/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.05; done
             ip link add port{number} type veth peer name eth0 netns {pid}
             ip link set port{number} master vmbr0 up"
        ));
        let neighbour = Self { holder, v4, v6 };
        neighbour.sh(&format!(
            "ip link set lo up; ip addr add {v4}/32 dev eth0; ip -6 addr add {v6}/128 dev eth0 nodad; ip link set eth0 up
             ip route add 192.168.10.5 dev eth0 src {v4}; ip -6 route add fd00:10::5 dev eth0 src {v6}"
        ));
        sh(&format!(
            "ip route replace {v4}/32 dev vmbr0 src 192.168.10.5; ip -6 route replace {v6}/128 dev vmbr0 src fd00:10::5"
        ));
        neighbour
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n", "bash", "-c", script]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn sh(&self, script: &str) {
        assert!(self.command(script).status().expect("nsenter").success(), "{script}");
    }

    /// Begins to connect; the exit status says what became of it.
    pub fn connect(&self, destination: &str, port: u16, seconds: &str) -> Child {
        let script = format!("timeout {seconds} bash -c 'exec 3<>/dev/tcp/{destination}/{port}'");
        self.command(&script).spawn().expect("a connection")
    }
}

/// Makes the node: `/etc/pve` that looks mounted, the bridge with its addresses, listeners, neighbours.
pub fn node(listening: &[u16]) -> Vec<Neighbour> {
    sh("mount --make-rprivate / && mount -t tmpfs none /run && mkdir /run/lock");
    let name = sh("uname -n | cut -d. -f1").trim().to_owned();
    own_etc(&name);
    // A mount of FUSE that nobody serves, and a plain one above it: the stand-in looks for the first, and for the link
    // that pmxcfs alone has.
    sh(&format!(
        "mkdir -p /etc/pve
         exec 3<>/dev/fuse && mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 stand-in /etc/pve
         mount -t tmpfs none /etc/pve && mkdir -p /etc/pve/nodes/{name} /etc/pve/firewall /etc/pve/priv/lock
         ln -s nodes/{name} /etc/pve/local
         ip link set lo up; ip link add vmbr0 type bridge; ip addr add 192.168.10.5/24 dev vmbr0
         ip -6 addr add fd00:10::5/64 dev vmbr0 nodad; ip link set vmbr0 up"
    ));
    for port in listening {
        let listener = TcpListener::bind(("::", *port)).expect("a free port");
        thread::spawn(move || listener.incoming().for_each(drop));
    }
    vec![
        Neighbour::new(1, "192.168.10.20", "fd00:10::20"),
        Neighbour::new(2, "192.168.10.66", "fd00:10::66"),
        Neighbour::new(3, "198.51.100.7", "2001:db8::7"),
        Neighbour::new(4, "10.0.0.5", "fd00::5"),
    ]
}

/// Writes one of the node's files, or takes it away.
pub fn write(path: &str, text: &str) {
    if text.is_empty() {
        let _ = fs::remove_file(path);
    } else {
        fs::write(Path::new(path), text).expect("a file");
    }
}
