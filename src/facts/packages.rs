//! dpkg's own file of packages, in deb822 stanzas. The one place that takes it apart.

/// dpkg's database.
pub const STATUS_PATH: &str = "/var/lib/dpkg/status";

/// One package that dpkg knows, installed or not.
pub struct Package<'a> {
    /// Debian name.
    pub name: &'a str,
    /// Wanted, error, state: `install ok installed`.
    pub status: &'a str,
    /// Version; empty where none was ever installed.
    pub version: &'a str,
}

impl Package<'_> {
    /// Unpacked and configured. A package on hold is installed all the same.
    pub fn is_installed(&self) -> bool {
        self.status.ends_with(" ok installed")
    }
}

/// Every package of the file, in its order.
pub fn all(status: &str) -> impl Iterator<Item = Package<'_>> {
    status.split("\n\n").filter_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        Some(Package {
            name: field("Package")?,
            status: field("Status")?,
            version: field("Version").unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_only_installed_packages_count() {
        let status = "Package: sudo\nStatus: install ok installed\nVersion: 1.9.16p2-3\n\n\
            Package: ufw\nStatus: deinstall ok config-files\nVersion: 0.36.2-9\n\n\
            Package: never\nStatus: unknown ok not-installed\n\n\
            Package: openssh-server\nStatus: hold ok installed\nVersion: 1:10.0p1-7+deb13u4\nDepends: x\n";
        let names = |installed: bool| -> Vec<&str> {
            all(status)
                .filter(|package| package.is_installed() == installed)
                .map(|found| found.name)
                .collect()
        };
        assert_eq!(names(true), ["sudo", "openssh-server"]);
        assert_eq!(names(false), ["ufw", "never"]);
    }
}
