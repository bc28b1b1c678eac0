//! Writes the seeds into `fuzz/corpus/`: `cargo run -p firstlight-fuzz --bin seeds`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = firstlight_fuzz::seeds::seeds().map_err(|error| error.to_string())?;
    for (target, name, bytes) in seeds {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
