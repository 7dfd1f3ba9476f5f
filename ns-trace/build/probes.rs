//! Compiling the probes, for any of the architectures that they know.
//!
//! Shared by `ns-trace/build.rs`, which needs those of the target, and by `cargo xtask probes`, which
//! tries the others.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use crate::compiler::{CHOICE, Compiler, TARGET, linker};

/// The architectures whose registers and system calls the probes know (ns-trace-ebpf/src/arch.rs).
pub(crate) const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Settings of the user's cargo that also hold for the inner one.
const KEEP: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// The objects: the tracer's, and that of a single look.
pub(crate) const OBJECTS: [&str; 2] = ["ns-trace-ebpf", "ns-trace-walk"];

/// Compiles the probes of `package` within `directory`; returns the directory of the objects.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn build(package: &Path, arch: &str, directory: &Path) -> Result<PathBuf, String> {
    if !ARCHITECTURES.contains(&arch) {
        return Err(format!(
            "ns-trace runs on {}: its probes do not know the registers of {arch}",
            ARCHITECTURES.join(" and "),
        ));
    }
    let (Some(compiler), Some(linker)) = (Compiler::find(), linker()) else {
        return Err(missing());
    };
    let mut cargo = cargo(&compiler)?;
    cargo
        .args(["build", "--release", "--target", TARGET])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(arch, &linker));
    let status =
        cargo.status().map_err(|error| format!("cannot run cargo for the probes: {error}"))?;
    if !status.success() {
        return Err(format!("the probes do not compile for {arch} ({status}), see above"));
    }
    Ok(directory.join(TARGET).join("release"))
}

/// The inner cargo, without a trace of the outer one: its flags, wrappers (clippy's among them)
/// and target directory are those of userspace.
fn cargo(compiler: &Compiler) -> Result<Command, String> {
    let mut cargo = match compiler {
        Compiler::Prebuilt(_) => {
            Command::new(env::var_os("CARGO").ok_or("cargo did not set CARGO")?)
        }
        Compiler::Nightly => {
            let mut rustup = Command::new("rustup");
            rustup.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
            rustup
        }
    };
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO_") && !KEEP.iter().any(|keep| text.starts_with(keep));
        if ours || text == "CARGO" || text.starts_with("RUSTC") || text == "RUSTFLAGS" {
            cargo.env_remove(name);
        }
    }
    if let Compiler::Prebuilt(rustc) = compiler {
        // The BPF target and the assembly of aya-ebpf are unstable; the compiler itself is not.
        cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(cargo)
}

/// Flags for rustc, in the one form that survives blanks in a path.
fn flags(arch: &str, linker: &Path) -> OsString {
    let mut linker_flag = OsString::from("-Clinker=");
    linker_flag.push(linker);
    [
        format!("--cfg=bpf_target_arch=\"{arch}\"").into(),
        linker_flag,
        "-Clink-arg=--btf".into(),
        "-Cdebuginfo=2".into(),
    ]
    .join(OsStr::new("\x1f"))
}

fn missing() -> String {
    env::var_os(CHOICE).map_or_else(
        || "nothing here can compile the probes: run `cargo xtask setup` first".to_owned(),
        |rustc| {
            format!(
                "{CHOICE}={} has no core library for {TARGET} or bpf-linker is missing: \
                 unset it and run `cargo xtask setup` first",
                rustc.display()
            )
        },
    )
}
