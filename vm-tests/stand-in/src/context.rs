//! Where a call runs: its root, node, clock and outputs.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the files lie that switch something for a test: never below `/etc/pve`, which comes and goes.
pub const SWITCHES: &str = "/etc/pve-stand-in";

/// Where those lie that are gone at the next boot.
pub const SWITCHES_OF_THIS_BOOT: &str = "/run/pve-stand-in";

/// What the tools look at and write to, apart from their arguments.
pub struct Context {
    root: PathBuf,
    node: String,
    privileged: bool,
    utf8: bool,
    clock: Clock,
    input: RefCell<Box<dyn Read>>,
    output: RefCell<Box<dyn Write>>,
    warnings: RefCell<Box<dyn Write>>,
}

/// The time of the machine, or that of a recording.
enum Clock {
    Machine,
    Set(Cell<u64>),
}

/// An output that a test reads afterwards.
#[derive(Clone, Default)]
pub struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    /// What was written since the last call.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Context {
    /// The context of this process: root from `PVE_STAND_IN_ROOT`, the machine's name and clock, its own streams.
    pub fn of_the_process() -> Self {
        let root = std::env::var_os("PVE_STAND_IN_ROOT").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let name = nix::sys::utsname::uname()
            .map(|names| names.nodename().to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            root,
            node: name.split('.').next().unwrap_or_default().to_owned(),
            privileged: nix::unistd::geteuid().is_root(),
            utf8: is_utf8_locale(),
            clock: Clock::Machine,
            input: RefCell::new(Box::new(std::io::stdin())),
            output: RefCell::new(Box::new(std::io::stdout())),
            warnings: RefCell::new(Box::new(std::io::stderr())),
        }
    }

    /// A context for a replay: everything is given, both outputs are captured.
    pub fn replay(root: &Path, node: &str, now: u64, output: Captured, warnings: Captured) -> Self {
        Self {
            root: root.to_owned(),
            node: node.to_owned(),
            privileged: true,
            utf8: true,
            clock: Clock::Set(Cell::new(now)),
            input: RefCell::new(Box::new(std::io::empty())),
            output: RefCell::new(Box::new(output)),
            warnings: RefCell::new(Box::new(warnings)),
        }
    }

    /// Gives a replayed call its input.
    pub fn set_input(&self, input: Vec<u8>) {
        *self.input.borrow_mut() = Box::new(std::io::Cursor::new(input));
    }

    /// Sets the clock of a replay; the machine's stays as it is.
    pub fn set_time(&self, now: u64) {
        if let Clock::Set(time) = &self.clock {
            time.set(now);
        }
    }

    /// Lets a replayed call run as nobody.
    pub fn set_privileged(&mut self, privileged: bool) {
        self.privileged = privileged;
    }

    /// Gives a replayed call another locale.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// True if text for people is written in UTF-8. JSON always is.
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// An absolute path of the node, below the root of this context.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// The root everything hangs on.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True where the root is that of the machine: kernel and daemons are real.
    pub fn is_the_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The short name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// True for root.
    pub fn is_privileged(&self) -> bool {
        self.privileged
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        match &self.clock {
            Clock::Machine => {
                SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
            }
            Clock::Set(time) => time.get(),
        }
    }

    /// Waits as the real tool does between two tries; the clock of a replay is moved instead.
    pub fn sleep(&self, seconds: u64) {
        match &self.clock {
            Clock::Machine => std::thread::sleep(Duration::from_secs(seconds)),
            Clock::Set(time) => time.set(time.get() + seconds),
        }
    }

    /// Takes about a second, as the real tools do, where the test asks for it.
    pub fn wait_if_slow(&self) {
        if self.is_switched("slow") {
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Whether a test has switched this on.
    pub fn is_switched(&self, switch: &str) -> bool {
        self.path(SWITCHES).join(switch).exists()
    }

    /// Everything that comes on stdin.
    pub fn read_input(&self) -> String {
        let mut bytes = Vec::new();
        let _ = self.input.borrow_mut().read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Prints to stdout, as it is. False if the output does not take it.
    pub fn print(&self, text: &str) -> bool {
        let mut output = self.output.borrow_mut();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_ok()
    }

    /// A line on stderr.
    pub fn warn(&self, line: &str) {
        let mut warnings = self.warnings.borrow_mut();
        let _ = writeln!(warnings, "{line}");
        let _ = warnings.flush();
    }
}

/// Whether the first variable that is set and decides the encoding asks for UTF-8.
fn is_utf8_locale() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    set.is_some_and(|value| value.to_lowercase().replace('-', "").ends_with("utf8"))
}
