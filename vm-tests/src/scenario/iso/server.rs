//! A web server for a rack: `iso-hooks/nginx.conf`, as it is, with real nginx.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::command::{command, output};
use crate::host;

/// What PVE's installer does there.
const INSTALLER: &str = include_str!("installer.py");
const PATIENCE: Duration = Duration::from_secs(20);

/// A self-signed certificate and its key.
pub fn certificate(directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let mut openssl =
        command("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=deploy.example", "-keyout"]).arg(&key);
    output(openssl.arg("-out").arg(&certificate))?;
    Ok((certificate, key))
}

/// The baked files are fetched as PVE's installer does it, byte for byte; another certificate is not believed.
pub fn fetched(hooks: &Path, directory: &Path, baked: &Path, fingerprint: &str) -> Result<()> {
    let node = directory.join("www/pve1");
    let files = ["answer.toml", "first-boot"].map(|name| baked.join(name));
    output(command("install", ["-D", "-o", "www-data", "-m", "0400", "-t"]).arg(&node).args(files))?;
    let server = Server::start(hooks, directory)?;
    let fetch = |fingerprint: &str, method: &str, name: &str| {
        let target = directory.join("fetched");
        let mut installer = command("python3", ["-c", INSTALLER]);
        installer.args([&server.port.to_string(), fingerprint, method, &format!("/pve1/{name}")]);
        output(installer.arg(&target))?;
        fs::read(&target).context("reading what was fetched")
    };
    for (method, name) in [("GET", "first-boot"), ("POST", "answer.toml")] {
        ensure!(fetch(fingerprint, method, name)? == fs::read(baked.join(name))?, "{name} came as another");
    }
    let other = ["00"; 32].join(":");
    let refused = fetch(&other, "GET", "first-boot").err().map(|error| error.to_string());
    ensure!(refused.as_ref().is_some_and(|text| text.contains("did not match")), "believed: {refused:?}");
    ensure!(fetch(fingerprint, "POST", "none.toml").is_err(), "what is not there was served");
    Ok(())
}

/// nginx that ends with its owner. Its package is unpacked, not installed: nothing of the host's listens or changes.
struct Server {
    nginx: std::process::Child,
    port: u16,
}

impl Server {
    fn start(hooks: &Path, directory: &Path) -> Result<Self> {
        let place = directory.join("nginx");
        fs::create_dir_all(place.join("logs"))?;
        host::unpack("nginx", &place)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let ours = fs::read_to_string(hooks.join("nginx.conf")).context("reading nginx.conf")?;
        let mut ours = ours.replace("listen 443", &format!("listen 127.0.0.1:{port}"));
        for (from, to) in [("/etc/firstlight-deploy", ""), ("/srv/firstlight-deploy", "/www")] {
            ensure!(ours.contains(from), "nginx.conf names no {from}");
            ours = ours.replace(from, &format!("{}{to}", directory.display()));
        }
        // Its own places are those of an installed nginx.
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let settings = format!(
            "daemon off; pid nginx.pid; user root;\nevents {{}}\nhttp {{ access_log off;\n{places}{ours}}}\n"
        );
        let file = place.join("nginx.conf");
        fs::write(&file, settings)?;
        let log = fs::File::create(place.join("said"))?;
        let mut nginx = command("setpriv", ["--pdeathsig", "TERM"]);
        nginx.arg(place.join("usr/sbin/nginx")).args(["-e", "stderr", "-p"]).arg(&place).arg("-c").arg(&file);
        let server = Self { nginx: nginx.stderr(log).spawn().context("starting nginx")?, port };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = fs::read_to_string(place.join("said")).unwrap_or_default();
            ensure!(since.elapsed() < PATIENCE, "nginx does not listen: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In order, so that its workers end, too.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.nginx.id()).unwrap_or_default());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.nginx.wait();
    }
}
