//! Link arguments for the shipped (static musl) binary; nothing else.
//!
//! No separate code segments save some of the 1 MiB that PVE's installer allows. Relocations are packed where there are any:
//! without `.cargo/release.toml` the result is a position-independent executable.

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl") {
        for argument in ["-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
