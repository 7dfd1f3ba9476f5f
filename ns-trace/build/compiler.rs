//! What can compile the probes on this machine.
//!
//! Shared by `ns-trace/build.rs`, which uses it, and by `cargo xtask setup`, which looks whether
//! something has to be installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The target that the probes are built for, whatever the machine: BPF bytecode, little endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Names a rustc other than Debian's that brings a core library for [`TARGET`].
pub(crate) const CHOICE: &str = "NS_TRACE_BPF_RUSTC";

/// Where Debian's `rustc-web` package puts its compiler.
const DEBIAN: &str = "/usr/bin/rustc";

/// A way to compile the probes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Compiler {
    /// A rustc that brings a prebuilt core library for [`TARGET`].
    Prebuilt(PathBuf),
    /// rustup's nightly toolchain with the sources of core.
    Nightly,
}

impl Compiler {
    /// The best one of this machine: the prebuilt core first, since it compiles less.
    pub(crate) fn find() -> Option<Self> {
        if let Some(chosen) = env::var_os(CHOICE) {
            // Who names a compiler does not want another one behind their back.
            let chosen = PathBuf::from(chosen);
            return has_core(&chosen).then_some(Self::Prebuilt(chosen));
        }
        if has_core(Path::new(DEBIAN)) {
            return Some(Self::Prebuilt(DEBIAN.into()));
        }
        nightly_has_sources().then_some(Self::Nightly)
    }
}

/// bpf-linker, which need not be on the PATH of who runs cargo by its full name.
pub(crate) fn linker() -> Option<PathBuf> {
    let cargo = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")))
        .map(|home| home.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo)
        .map(|directory| directory.join("bpf-linker"))
        .find(|file| file.is_file())
}

fn has_core(rustc: &Path) -> bool {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    let Some(directory) = output(&mut command) else {
        return false;
    };
    let Ok(entries) = fs::read_dir(directory) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

fn nightly_has_sources() -> bool {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc", "--print", "sysroot"]);
    output(&mut command).is_some_and(|sysroot| {
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
    })
}

/// The trimmed standard output of a command that succeeded.
fn output(command: &mut Command) -> Option<String> {
    let output = command.env_remove("RUSTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
