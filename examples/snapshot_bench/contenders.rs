//! The others, as an admin would call them.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something that keeps a copy of a tree.
pub trait Contender {
    /// As it is called.
    fn name(&self) -> &'static str;
    /// The tree it keeps, its own so that nobody disturbs another's.
    fn tree(&self) -> PathBuf;
    /// Loses all copies.
    fn forget(&mut self) -> Outcome<()>;
    /// Keeps a copy of the tree as it is.
    fn snapshot(&mut self) -> Outcome<()>;
    /// Makes the tree as it was.
    fn put_back(&mut self) -> Outcome<()>;
}

/// All of them, below `root`.
pub fn all(root: &Path) -> Vec<Box<dyn Contender>> {
    let tool = |which, name, directory: &str| -> Box<dyn Contender> {
        Box::new(Tool { which, name, root: root.join(directory) })
    };
    vec![
        tool(Which::Copy, "`cp -a`", "cp"),
        tool(Which::DurableCopy, "`cp -a`, `sync -f`", "durable"),
        tool(Which::Tar, "`tar`", "tar"),
        tool(Which::Rsync, "`rsync -a`", "rsync"),
        tool(Which::Git, "`git` as etckeeper", "git"),
    ]
}

/// A missing tool is a failure, not a shorter table.
pub fn all_there() -> Outcome<()> {
    for name in ["cp", "tar", "rsync", "git", "sync", "find", "date"] {
        let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{name} is missing: install it, then start again").into());
        }
    }
    Ok(())
}

/// Copies a tree.
pub fn copy(from: &Path, to: &Path) -> Outcome<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    run(Command::new("cp").arg("-a").arg(from).arg(to))
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

#[derive(Clone, Copy, PartialEq)]
enum Which {
    Copy,
    DurableCopy,
    Tar,
    Rsync,
    Git,
}

struct Tool {
    which: Which,
    name: &'static str,
    root: PathBuf,
}

impl Tool {
    fn kept(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// With nothing of the person's who runs this.
    fn git(&self, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(self.kept()).arg("--work-tree").arg(self.tree());
        command.args(["-c", "user.name=root", "-c", "user.email=root@localhost"]).args(words);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command
    }

    /// Modes and owners in a file of their own, since git keeps none; then everything into one commit.
    fn commit(&self) -> Outcome<()> {
        let list = Command::new("find").arg(self.tree()).args(["-printf", "%m %u %g %p\n"]).output()?;
        std::fs::write(self.tree().join(".etckeeper"), list.stdout)?;
        run(&mut self.git(&["add", "-A", "."]))?;
        // As etckeeper does: without a change there is no commit.
        if self.git(&["diff", "--cached", "--quiet"]).status()?.success() {
            return Ok(());
        }
        run(&mut self.git(&["commit", "-q", "-m", "saving"]))
    }
}

impl Contender for Tool {
    fn name(&self) -> &'static str {
        self.name
    }

    fn tree(&self) -> PathBuf {
        self.root.join("etc")
    }

    fn forget(&mut self) -> Outcome<()> {
        let kept = self.kept();
        if kept.is_dir() {
            std::fs::remove_dir_all(&kept)?;
        } else if kept.exists() {
            std::fs::remove_file(&kept)?;
        }
        if self.which == Which::Git {
            run(&mut self.git(&["init", "-q"]))?;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Outcome<()> {
        let (tree, kept) = (self.tree(), self.kept());
        match self.which {
            Which::Copy | Which::DurableCopy => {
                // A second copy stands beside the first: a snapshot does not overwrite the one before.
                let kept = if kept.exists() { kept.join("second") } else { kept };
                copy(&tree, &kept)?;
                if self.which == Which::DurableCopy {
                    run(Command::new("sync").arg("-f").arg(&self.root))?;
                }
                Ok(())
            }
            Which::Tar => run(Command::new("tar").arg("-cf").arg(&kept).arg("-C").arg(&self.root).arg("etc")),
            Which::Rsync => run(Command::new("rsync").arg("-a").arg(tree.join("")).arg(&kept)),
            Which::Git => self.commit(),
        }
    }

    fn put_back(&mut self) -> Outcome<()> {
        let (tree, kept) = (self.tree(), self.kept());
        match self.which {
            Which::Copy => run(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&tree)),
            Which::DurableCopy => {
                run(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&tree))?;
                run(Command::new("sync").arg("-f").arg(&self.root))
            }
            Which::Tar => run(Command::new("tar").arg("-xf").arg(&kept).arg("-C").arg(&self.root)),
            Which::Rsync => run(Command::new("rsync").arg("-a").arg(kept.join("")).arg(&tree)),
            Which::Git => run(&mut self.git(&["checkout", "-q", "--", "."])),
        }
    }
}
