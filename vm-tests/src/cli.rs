//! The command line: `build`, `image`, `demo`, `test`, `shell`, `release`, `scores`, `budgets`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use lexopt::Arg;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::bench::Bench;
use crate::check;
use crate::host;
use crate::image::{Image, Release};
use crate::kit::Kit;
use crate::network;
use crate::progress::say;
use crate::release;
use crate::suite::{self, Wanted};
use crate::unprivileged::is_real_root;
use crate::workspace::{TARGET, Workspace};

const USAGE: &str = "\
usage: cargo vm build                        build the static binary as it is shipped
       cargo vm image                        make the guest image, and say where it is; root is not needed
       cargo vm demo [--no-wait]             show the first boot of a throw-away node
       cargo vm test [--full] [--guest RELEASE] [--jobs N] [FILTER…]
                                             run every test, that of a name, or those whose names hold it,
                                             N scenarios at a time (two, or one on a single core)
       cargo vm test --list                  name them
       cargo vm shell [--hardened]           boot a node and log in as root
       cargo vm release [--target TARGET] [--out DIR]
                                             make tarball, Debian package, bill of materials and checksums
       cargo vm budgets                      size, start, processor time and memory beside what they may be
       cargo vm scores                       what ssh-audit, lynis and our audit say of a node before and after

--guest RELEASE makes guests of trixie (Debian 13, below PVE 9) or of bookworm (Debian 12, below PVE 8). Without it they
are of trixie, and `test --full` runs on both whatever has a guest.
";

const MOST_JOBS: usize = 16;

/// Reads the command line and does what it says.
pub fn run() -> Result<ExitCode> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut flags, mut jobs, mut guest) = (Vec::new(), Vec::new(), None, None);
    let (mut target, mut out) = (TARGET.to_owned(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(value) => words.push(value.to_string_lossy().into_owned()),
            Arg::Short('h') | Arg::Long("help") => {
                say(USAGE.trim_end());
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Short('j') | Arg::Long("jobs") => jobs = Some(read_jobs(arguments.value()?)?),
            Arg::Long("guest") => guest = Some(read_release(&arguments.value()?)?),
            Arg::Long("target") => target = arguments.value()?.to_string_lossy().into_owned(),
            Arg::Long("out") => out = Some(PathBuf::from(arguments.value()?)),
            Arg::Long(flag @ ("full" | "list" | "no-wait" | "hardened")) => flags.push(flag.to_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let usual = guest.unwrap_or(Release::Trixie);
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let (name, filters) = words.split_first().context(USAGE.trim_end())?;
    match name.as_str() {
        "test" if has("list") => {
            suite::list();
            Ok(ExitCode::SUCCESS)
        }
        "test" => {
            let wanted = Wanted { full: has("full"), guest, jobs, filters };
            in_workspace(|workspace| Ok(suite::run(workspace, &wanted)))
        }
        "build" => {
            let workspace = Workspace::find()?;
            host::prepare_toolchain(&workspace.root)?;
            check::size(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        "release" => {
            let workspace = Workspace::find()?;
            host::prepare_toolchain(&workspace.root)?;
            let out = out.unwrap_or_else(|| workspace.target_directory().join("dist"));
            release::run(&workspace, &target, &out)?;
            Ok(ExitCode::SUCCESS)
        }
        "image" => {
            host::prepare_image()?;
            in_workspace(|workspace| image(workspace, usual))
        }
        "demo" => with_bench(usual, |bench| crate::demo::demo(bench, !has("no-wait"))),
        "budgets" => with_bench(usual, crate::budgets::print),
        "scores" => with_bench(usual, crate::scores::print),
        "shell" => with_bench(usual, |bench| crate::demo::shell(bench, has("hardened"))),
        other => bail!("there is no command `{other}`\n{}", USAGE.trim_end()),
    }
}

fn read_jobs(value: OsString) -> Result<usize> {
    let text = value.to_string_lossy();
    match text.parse() {
        Ok(jobs @ 1..=MOST_JOBS) => Ok(jobs),
        _ => bail!("--jobs {text}: a number from 1 to {MOST_JOBS} is wanted"),
    }
}

fn read_release(value: &OsStr) -> Result<Release> {
    let text = value.to_string_lossy();
    Release::ALL
        .into_iter()
        .find(|release| release.codename() == text)
        .with_context(|| format!("--guest {text}: trixie or bookworm is wanted"))
}

/// Makes an image, or finds it made, and says where it lies.
fn image(workspace: &Workspace, release: Release) -> Result<ExitCode> {
    let image = Image::obtain(workspace, release)?;
    say(format_args!(
        "the guest image ({}):\n  disk    {}\n  kernel  {}\n  initrd  {}",
        release.codename(),
        image.disk.display(),
        image.kernel.display(),
        image.initrd.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn with_bench(guest: Release, act: impl FnOnce(&mut Bench) -> Result<ExitCode>) -> Result<ExitCode> {
    in_workspace(|workspace| act(&mut Bench::new(&Arc::new(Kit::new(workspace, 1, guest)), 1)))
}

fn in_workspace(act: impl FnOnce(&Workspace) -> Result<ExitCode>) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    workspace.sweep()?;
    if is_real_root() {
        // Nobody else has any, or may remove them.
        network::sweep()?;
    }
    clean_up_on_signal(&workspace)?;
    host::prepare_toolchain(&workspace.root)?;
    let code = act(&workspace);
    // Whatever is left is swept by the next run.
    let _ = std::fs::remove_dir_all(workspace.run_directory());
    code
}

/// Ctrl-C ends guests and namespaces too; the guests die with us.
fn clean_up_on_signal(workspace: &Workspace) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listening for signals")?;
    let directory = workspace.run_directory();
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            network::remove_own();
            let _ = std::fs::remove_dir_all(&directory);
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
