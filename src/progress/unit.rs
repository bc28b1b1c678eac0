//! Lines for the journal: a syslog priority in front of each, which systemd takes off (sd-daemon(3)).

use super::lines::word;
use super::{Ending, Importance, Watch};
use crate::report::terminal::{print, visible};
use crate::status::time;

/// Lines with `<6>`, `<4>` or `<3>` in front, on standard output.
pub struct Unit;

impl Watch for Unit {
    fn begin(&mut self, number: usize, total: usize, title: &str) {
        print(&prefixed(Importance::Info, &format!("step {number} of {total}: {title}")));
    }

    fn end(&mut self, ending: Ending, milliseconds: u64) {
        let importance = if ending == Ending::Failed { Importance::Error } else { Importance::Info };
        print(&prefixed(importance, &format!("  {}, {}", word(ending), time::duration(milliseconds))));
    }

    fn say(&mut self, importance: Importance, text: &str) {
        print(&prefixed(importance, text));
    }
}

/// Every line of `text` with its priority.
pub fn prefixed(importance: Importance, text: &str) -> String {
    let priority = match importance {
        Importance::Info => "<6>",
        Importance::Warning => "<4>",
        Importance::Error => "<3>",
    };
    text.lines().map(|line| format!("{priority}{}\n", visible(line))).collect()
}

/// Whether standard output is the journal: a unit's environment alone is inherited by everything it starts,
/// so the device and inode that systemd names are compared with what is really there (systemd.exec(5)).
pub fn is_journal() -> bool {
    if std::env::var_os("INVOCATION_ID").is_none() {
        return false;
    }
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(output) = nix::sys::stat::fstat(std::io::stdout()) else { return false };
    stream == format!("{}:{}", output.st_dev, output.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j2_every_line_in_a_unit_has_its_priority() {
        assert_eq!(prefixed(Importance::Info, "a\nb"), "<6>a\n<6>b\n");
        assert_eq!(prefixed(Importance::Warning, "a"), "<4>a\n");
        // A line of a tool must not choose its own priority.
        assert_eq!(prefixed(Importance::Error, "<7>x\r"), "<3><7>x^M\n");
    }
}
