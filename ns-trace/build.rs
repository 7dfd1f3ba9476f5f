//! Compiles the probes and leaves them in `$OUT_DIR`, as `ns-trace-ebpf.o` and `ns-trace-walk.o`;
//! links the command.

#[path = "build/compiler.rs"]
mod compiler;
#[path = "build/link.rs"]
mod link;
#[path = "build/probes.rs"]
mod probes;
#[path = "build/strip.rs"]
mod strip;

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use compiler::{CHOICE, Compiler};

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

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed={CHOICE}");
    if let Some(Compiler::Prebuilt(rustc)) = Compiler::find() {
        println!("cargo::rerun-if-changed={}", rustc.display());
    }
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
    let out = PathBuf::from(variable("OUT_DIR")?);
    let package = Path::new("../ns-trace-ebpf");
    let objects = probes::build(package, &arch.to_string_lossy(), &out.join("ebpf"))?;
    for name in probes::OBJECTS {
        let object = objects.join(name);
        let compiled = fs::read(&object)
            .map_err(|error| format!("cannot read {}: {error}", object.display()))?;
        let stripped = out.join(format!("{name}.o"));
        fs::write(&stripped, strip::debug_sections(&compiled)?)
            .map_err(|error| format!("cannot write {}: {error}", stripped.display()))?;
    }
    link::statically(&out)
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
