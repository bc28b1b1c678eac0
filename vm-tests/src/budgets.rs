//! What the program may cost (design 11), measured natively: the first boot runs in a mounted node with real apt, dpkg, ufw
//! and sshd on the host's own processor. `cargo vm budgets` prints each figure beside its budget, and fails over one.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::check::SIZE_LIMIT;
use crate::command::{command, output};
use crate::host;
use crate::power::disk::Disk;
use crate::power::fault::HOOK;
use crate::power::lab::Lab;
use crate::power::record::FileSystem;
use crate::progress::say;
use crate::seed::seeded;

/// PVE's installer refuses more.
const MOST_BYTES: u64 = 1 << 20;
/// Of an answer, which is sealed into the executable.
const PAYLOAD: usize = 16 << 10;
const HELP_MILLISECONDS: f64 = 5.0;
const OWN_MILLISECONDS: f64 = 200.0;
const MEBIBYTES: f64 = 32.0;
/// The median of so many starts.
const STARTS: usize = 101;

/// One line of the table.
struct Figure {
    what: &'static str,
    unit: &'static str,
    budget: f64,
    found: f64,
}

/// Prints the table.
pub fn print(bench: &mut Bench) -> Result<ExitCode> {
    host::prepare()?;
    let binary = bench.payload()?.binary.clone();
    let (own, peak) = first_boot(bench)?;
    let bytes = |path: &Path| -> Result<f64> {
        Ok(std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?.len() as f64)
    };
    let figures = [
        Figure { what: "release binary", unit: "bytes", budget: SIZE_LIMIT as f64, found: bytes(&binary)? },
        Figure {
            what: "with an answer of 16 KiB",
            unit: "bytes",
            budget: MOST_BYTES as f64,
            found: bytes(&with_a_large_answer(bench, &binary)?)?,
        },
        Figure {
            what: "from start to `--help`",
            unit: "ms",
            budget: HELP_MILLISECONDS,
            found: start(&binary)?,
        },
        Figure {
            what: "own processor time of a first boot",
            unit: "ms",
            budget: OWN_MILLISECONDS,
            found: own,
        },
        Figure { what: "most memory of a first boot", unit: "MiB", budget: MEBIBYTES, found: peak },
    ];
    say("| what | budget | measured |\n|---|---:|---:|");
    for Figure { what, unit, budget, found } in &figures {
        let digits = if *unit == "bytes" { 0 } else { 1 };
        say(format_args!("| {what} | {budget:.digits$} {unit} | {found:.digits$} {unit} |"));
    }
    let over = figures.iter().find(|figure| figure.found > figure.budget);
    Ok(if over.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The example with a file that nothing can make shorter.
fn with_a_large_answer(bench: &mut Bench, binary: &Path) -> Result<std::path::PathBuf> {
    let directory = bench.workspace().run_directory().join("large");
    std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let content = "0123456789abcdef".repeat(PAYLOAD / 16);
    let answer = std::fs::read_to_string(&bench.payload()?.answer).context("reading the answer")?;
    let answer = format!("{answer}\n[[firstlight.file]]\npath = \"/etc/large\"\ncontent = \"{content}\"\n");
    let path = directory.join("answer.large.toml");
    std::fs::write(&path, answer).context("writing a large answer")?;
    output(command(&binary.display().to_string(), ["bake"]).arg(&path).arg("--out").arg(&directory))?;
    Ok(directory.join("first-boot"))
}

/// The median of many starts, in milliseconds, the making of the process included.
fn start(binary: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let mut help = command(&binary.display().to_string(), ["--help"]);
        let since = Instant::now();
        let status = help.stdout(Stdio::null()).status().context("starting the program")?;
        times.push(since.elapsed().as_secs_f64() * 1000.0);
        ensure!(status.success(), "--help: {status}");
    }
    times.sort_by(f64::total_cmp);
    times.get(STARTS / 2).copied().context("no start was measured")
}

/// Milliseconds that it says it took of the processor, and the kernel's high-water mark of its memory in MiB.
fn first_boot(bench: &mut Bench) -> Result<(f64, f64)> {
    let (image, _) = bench.image()?;
    let seeds = bench.native_seeds()?;
    let answer = std::fs::read(&bench.payload()?.native.1).context("reading the answer")?;
    let directory = bench.workspace().run_directory().join("budgets");
    std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let base = seeded(&image.disk, &directory.join("disk"), &seeds)?;
    // The mark is gone with the process: it is looked at until then.
    let line = format!(
        "{HOOK} > /run/hook.log 2>&1 & hook=$!\n\
         while kill -0 $hook 2> /dev/null; do grep VmHWM /proc/$hook/status; sleep 0.02; done\n\
         wait $hook && cat /run/hook.log"
    );
    let said = Lab::enter(&directory.join("lab"), FileSystem::Ext4, |lab| {
        let disk = lab.file("disk");
        Disk::copy_of(&base, &disk)?;
        lab.mounted(&disk, || {
            std::fs::write(lab.root().join("root/ufw.toml"), &answer).context("writing the answer")?;
            lab.ok(&line).context("a first boot")
        })
    })?;
    let marks =
        said.lines().filter_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    let peak: f64 = marks.fold(0.0, f64::max);
    let own = said.lines().find_map(|line| {
        line.strip_prefix("firstlight: ")?
            .strip_suffix(" ms of processor time beside its tools")?
            .parse()
            .ok()
    });
    ensure!(peak > 0.0, "no memory was seen: {said}");
    Ok((own.with_context(|| format!("no processor time was told: {said}"))?, peak / 1024.0))
}
