//! Compiles the probes and leaves them in `$OUT_DIR/ns-trace.bpf.o`.

#[path = "build/compiler.rs"]
mod compiler;

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use compiler::{CHOICE, Compiler, TARGET};

/// Everything that the probes are made of, seen from this package.
const SOURCES: [&str; 8] = [
    "build.rs",
    "build",
    "../Cargo.toml",
    "../Cargo.lock",
    "../ns-trace-common/Cargo.toml",
    "../ns-trace-common/src",
    "../ns-trace-ebpf/Cargo.toml",
    "../ns-trace-ebpf/src",
];

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

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed={CHOICE}");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            println!("cargo::error={sentence}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let arch = arch.to_string_lossy();
    if !["x86_64", "aarch64"].contains(&arch.as_ref()) {
        return Err(format!(
            "ns-trace runs on x86_64 and aarch64: its probes do not know the registers of {arch}"
        ));
    }
    let (Some(compiler), Some(linker)) = (Compiler::find(), compiler::linker()) else {
        return Err(missing());
    };
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target = out.join("ebpf");
    let mut cargo = cargo(&compiler)?;
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["--manifest-path", "../ns-trace-ebpf/Cargo.toml"])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&arch, &linker));
    let status =
        cargo.status().map_err(|error| format!("cannot run cargo for the probes: {error}"))?;
    if !status.success() {
        return Err(format!("the probes do not compile ({status}), see above"));
    }
    let object = target.join(TARGET).join("release/ns-trace-ebpf");
    fs::copy(&object, out.join("ns-trace.bpf.o"))
        .map_err(|error| format!("cannot copy {}: {error}", object.display()))?;
    Ok(())
}

/// The inner cargo, without a trace of the outer one: its flags, wrappers (clippy's among them)
/// and target directory are those of userspace.
fn cargo(compiler: &Compiler) -> Result<Command, String> {
    let mut cargo = match compiler {
        Compiler::Prebuilt(_) => Command::new(variable("CARGO")?),
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
        println!("cargo::rerun-if-changed={}", rustc.display());
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
    .join("\x1f".as_ref())
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

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
